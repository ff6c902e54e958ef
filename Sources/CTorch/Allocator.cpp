// CPU memory that is kept instead of returned. A training step frees and asks for the same sizes
// again and again; giving large blocks back to the system each time costs a page fault for every
// 4 KiB of every activation. Blocks are kept by exact size, aligned and advised for huge pages.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <mutex>
#include <unordered_map>
#include <vector>

#include "Internal.h"

namespace {

constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t small_limit = size_t{256} << 10;  // below this, malloc does well by itself

size_t rounded(size_t bytes) {
  const size_t unit = bytes >= huge_page ? huge_page / 4 : size_t{64} << 10;
  return (bytes + unit - 1) / unit * unit;
}

class Cache {
 public:
  void *take(size_t bytes) {
    const size_t size = rounded(bytes);
    const std::lock_guard<std::mutex> guard(lock);
    auto &blocks = free[size];
    void *block = nullptr;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      cached -= static_cast<int64_t>(size);
    } else {
      block = obtain(size);
      if (block == nullptr) {
        release_all();
        block = obtain(size);
      }
      TORCH_CHECK(block != nullptr, "out of memory: could not allocate ", bytes, " bytes");
    }
    used[block] = size;
    in_use += static_cast<int64_t>(size);
    peak = std::max(peak, in_use);
    return block;
  }

  /// False when the block is not one of ours.
  bool give_back(void *block) {
    const std::lock_guard<std::mutex> guard(lock);
    const auto entry = used.find(block);
    if (entry == used.end()) return false;
    in_use -= static_cast<int64_t>(entry->second);
    cached += static_cast<int64_t>(entry->second);
    free[entry->second].push_back(block);
    used.erase(entry);
    // Changing batch sizes leave blocks of sizes that never come back: the whole stays within twice
    // what was in use at the peak.
    if (cached + in_use > 2 * peak) release_all();
    return true;
  }

  void bytes(int64_t *used_bytes, int64_t *cached_bytes) {
    const std::lock_guard<std::mutex> guard(lock);
    *used_bytes = in_use;
    *cached_bytes = cached;
  }

 private:
  static void *obtain(size_t size) {
    void *block = nullptr;
    if (posix_memalign(&block, size >= huge_page ? huge_page : 4096, size) != 0) return nullptr;
    if (size >= huge_page) madvise(block, size, MADV_HUGEPAGE);
    return block;
  }

  void release_all() {
    for (auto &[size, blocks] : free) {
      for (void *block : blocks) std::free(block);
      blocks.clear();
    }
    cached = 0;
  }

  std::mutex lock;
  std::unordered_map<size_t, std::vector<void *>> free;
  std::unordered_map<void *, size_t> used;
  int64_t in_use = 0;
  int64_t cached = 0;
  int64_t peak = 0;
};

Cache &cache() {
  static auto *instance = new Cache;  // outlives every tensor, so it is never destroyed
  return *instance;
}

void release_block(void *block) {
  if (block != nullptr && !cache().give_back(block)) std::free(block);
}

struct CachingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void *block = nullptr;
    if (bytes >= small_limit) {
      block = cache().take(bytes);
    } else if (bytes > 0) {
      TORCH_CHECK(posix_memalign(&block, 64, bytes) == 0, "out of memory: could not allocate ", bytes, " bytes");
    }
    return {block, block, bytes >= small_limit ? &release_block : &std::free, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_block; }
  void copy_data(void *destination, const void *source, size_t count) const override {
    default_copy_data(destination, source, count);
  }
};

}  // namespace

extern "C" ct_error ct_install_caching_allocator(void) {
  return shim::guarded([&] {
    static auto *allocator = new CachingAllocator;
    c10::SetCPUAllocator(allocator, /*priority=*/100);
    // oneDNN's scratch memory comes from malloc: let it keep what it frees, too.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
  });
}

extern "C" void ct_caching_allocator_bytes(int64_t *in_use, int64_t *cached) {
  cache().bytes(in_use, cached);
}
