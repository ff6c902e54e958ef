// CPU memory that is kept instead of returned. A training step frees and asks for the same sizes
// again and again; giving large blocks back to the system each time costs a page fault for every
// 4 KiB of every activation. Blocks are kept by exact size, aligned and advised for huge pages, and all
// of them together take little more than the most that was in use at once.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "CMemory.h"

namespace {

constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t small_limit = size_t{256} << 10;  // below this, malloc does well by itself

size_t rounded(size_t bytes) {
  const size_t unit = bytes >= huge_page ? huge_page / 4 : size_t{64} << 10;
  return (bytes + unit - 1) / unit * unit;
}

// What may be kept beyond the most that was ever in use: a step asks for blocks of many sizes, and those of
// one size are of no use to another.
constexpr int64_t slack = int64_t{128} << 20;

class Cache {
 public:
  void *take(size_t bytes) {
    const size_t size = rounded(bytes);
    const std::lock_guard<std::mutex> guard(lock);
    auto &kept = free[size];
    kept.used = ++clock;
    void *block = nullptr;
    if (!kept.blocks.empty()) {
      block = kept.blocks.back();
      kept.blocks.pop_back();
      cached -= static_cast<int64_t>(size);
    } else {
      const int64_t room = std::max(peak, in_use + static_cast<int64_t>(size)) + slack;
      release(in_use + cached + static_cast<int64_t>(size) - room);
      block = obtain(size);
      if (block == nullptr) {
        release(cached);
        block = obtain(size);
      }
      TORCH_CHECK_WITH(OutOfMemoryError, block != nullptr, "out of memory: could not allocate ", bytes, " bytes");
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
    free[entry->second].blocks.push_back(block);
    used.erase(entry);
    return true;
  }

  void bytes(int64_t *used_bytes, int64_t *cached_bytes) {
    const std::lock_guard<std::mutex> guard(lock);
    *used_bytes = in_use;
    *cached_bytes = cached;
  }

 private:
  /// Blocks of one size, and when one was last asked for.
  struct Kept {
    std::vector<void *> blocks;
    uint64_t used = 0;
  };

  /// Large blocks come from the system itself: malloc would keep what is released.
  static void *obtain(size_t size) {
    if (size < huge_page) {
      void *block = nullptr;
      return posix_memalign(&block, 4096, size) == 0 ? block : nullptr;
    }
    // More than is needed, of which what lies before and behind a border of huge pages goes back.
    void *mapped = mmap(nullptr, size + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto *begin = static_cast<char *>(mapped);
    const size_t before = (huge_page - reinterpret_cast<uintptr_t>(begin) % huge_page) % huge_page;
    if (before > 0) munmap(begin, before);
    if (before < huge_page) munmap(begin + before + size, huge_page - before);
    madvise(begin + before, size, MADV_HUGEPAGE);
    return begin + before;
  }

  static void dispose(void *block, size_t size) {
    if (size < huge_page) {
      std::free(block);
    } else {
      munmap(block, size);
    }
  }

  /// Gives at least so many bytes back to the system, of the sizes first that were not asked for the longest.
  void release(int64_t bytes) {
    while (bytes > 0 && cached > 0) {
      auto oldest = free.end();
      for (auto entry = free.begin(); entry != free.end(); ++entry) {
        if (entry->second.blocks.empty()) continue;
        if (oldest == free.end() || entry->second.used < oldest->second.used) oldest = entry;
      }
      dispose(oldest->second.blocks.back(), oldest->first);
      oldest->second.blocks.pop_back();
      cached -= static_cast<int64_t>(oldest->first);
      bytes -= static_cast<int64_t>(oldest->first);
    }
  }

  std::mutex lock;
  std::unordered_map<size_t, Kept> free;
  std::unordered_map<void *, size_t> used;
  uint64_t clock = 0;
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
      TORCH_CHECK_WITH(OutOfMemoryError, posix_memalign(&block, 64, bytes) == 0, "out of memory: could not allocate ",
                       bytes, " bytes");
    }
    return {block, block, bytes >= small_limit ? &release_block : &std::free, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release_block; }
  void copy_data(void *destination, const void *source, size_t count) const override {
    default_copy_data(destination, source, count);
  }
};

}  // namespace

extern "C" bool cm_install(void) {
  try {
    static auto *allocator = new CachingAllocator;
    c10::SetCPUAllocator(allocator, /*priority=*/100);
  } catch (...) {
    return false;
  }
  // oneDNN's scratch memory comes from malloc: let it keep what it frees, too.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  return true;
}

extern "C" void cm_bytes(int64_t *in_use, int64_t *cached) {
  cache().bytes(in_use, cached);
}
