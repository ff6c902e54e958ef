// The caching allocator: tensors that are there at the same time never share a byte, and what is freed is kept or returned.
#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "CMemory.h"
#include "CTorch.h"
#include "Check.h"

using check::require;

namespace {

constexpr int32_t uint8 = 0;

constexpr int32_t bytes8 = 0;

struct Block {
  ct_tensor tensor;
  uint8_t *bytes;
  size_t count;
  uint8_t mark;
};

Block make(size_t count, uint8_t mark) {
  ct_tensor tensor = nullptr;
  const auto size = static_cast<int64_t>(count);
  require(ct_tensor_from_bytes(nullptr, count, &size, 1, uint8, 0, &tensor) == nullptr, "no memory");
  void *address = nullptr;
  require(ct_tensor_address(tensor, &address) == nullptr, "no address");
  if (count > 0) std::memset(address, mark, count);
  return {tensor, static_cast<uint8_t *>(address), count, mark};
}

void free(const Block &block) {
  const bool isWhole = std::all_of(block.bytes, block.bytes + block.count, [&](uint8_t byte) { return byte == block.mark; });
  require(isWhole, "two tensors share memory");
  ct_tensor_free(block.tensor);
}

/// Makes and frees tensors of sizes at every border, in an order that is drawn.
void work(uint32_t seed) {
  const std::vector<size_t> sizes = {0, 1, 63, 4096, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 300'000,
                                     (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 3'000'000, 5 << 20};
  std::mt19937 generator(seed);
  std::vector<Block> blocks;
  for (uint32_t step = 0; step < 400; step++) {
    if (blocks.size() < 12 && generator() % 5 < 3) {
      blocks.push_back(make(sizes[generator() % sizes.size()], static_cast<uint8_t>(step)));
    } else if (!blocks.empty()) {
      std::swap(blocks[generator() % blocks.size()], blocks.back());
      free(blocks.back());
      blocks.pop_back();
    }
  }
  for (const auto &block : blocks) free(block);
}

}  // namespace

int main() {
  require(cm_install(), "libtorch takes no allocator");
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 3; i++) threads.emplace_back(work, i);
  for (auto &thread : threads) thread.join();
  int64_t used = 0, kept = 0;
  cm_bytes(&used, &kept);
  require(used == 0 && kept > 0, "in use: " + std::to_string(used) + ", kept: " + std::to_string(kept));
  // More than is ever kept: what is there goes back to the system.
  for (int i = 0; i < 3; i++) free(make(size_t{100} << 20 << i, 1));
  std::printf("memory: tensors for themselves\n");
}
