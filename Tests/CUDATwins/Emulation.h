// CUDA on the CPU, as far as the kernels need it. Each thread of a block is a fiber, which runs until it
// returns or waits at a barrier or for other lanes. Threads take turns in a scrambled order that differs from
// turn to turn, and so do blocks, so that what depends on their order shows; launches repeat the same orders.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

// All shared memory lies in one section, so that it can be spoilt before each block. The linker has the
// symbols.
extern "C" {
extern char __start_collapse_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_collapse_shared[] __attribute__((weak, visibility("hidden")));
}

#define __shared__ static __attribute__((section("collapse_shared"), used))
#define __global__ __attribute__((visibility("hidden")))
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __syncthreads() emulation::wait_at_barrier(__LINE__)
#define __syncwarp(...) emulation::wait_for_warp(__LINE__ __VA_OPT__(, ) __VA_ARGS__)

namespace emulation {

enum class State { ready, at_barrier, in_exchange, done };

struct Fiber {
  /// Where it begins, then where it was left: jumps are quicker than contexts, which ask the system for
  /// signal masks.
  ucontext_t beginning;
  jmp_buf place;
  bool has_begun = false;
  std::unique_ptr<char[]> stack;
  State state = State::ready;
  /// Where it waits: a line for a barrier, a kind for an exchange between the lanes of mask.
  int site = 0;
  unsigned mask = 0, source = 0;
  unsigned long long value = 0;
};

struct Machine {
  std::vector<Fiber> fibers;
  jmp_buf scheduler;
  Fiber *current = nullptr;
  bool failed = false;
  void (*kernel)(void **) = nullptr;
  void **arguments = nullptr;
  unsigned random = 1;
};

inline Machine machine;

__attribute__((noinline)) inline void suspend() {
  if (!_setjmp(machine.current->place)) _longjmp(machine.scheduler, 1);
}

__attribute__((noinline)) inline void resume(Fiber &fiber) {
  machine.current = &fiber;
  if (_setjmp(machine.scheduler)) return;
  if (fiber.has_begun) _longjmp(fiber.place, 1);
  fiber.has_begun = true;
  setcontext(&fiber.beginning);
}

/// Ends the launch; the fibers are given up where they are.
inline void fail() {
  machine.failed = true;
  suspend();
}

inline void wait_at_barrier(int line) {
  machine.current->site = line;
  machine.current->state = State::at_barrier;
  suspend();
}

/// Gives the bits of value in lane `source`, once all lanes of the mask have come here.
inline unsigned long long exchange(int kind, unsigned mask, unsigned source, unsigned long long value) {
  Fiber &self = *machine.current;
  const size_t index = &self - machine.fibers.data(), first = index / 32 * 32, lane = index % 32;
  if (!(mask >> lane & 1) || !(mask >> source & 1)) fail();
  self.state = State::in_exchange;
  self.site = kind;
  self.mask = mask;
  self.source = source;
  self.value = value;
  unsigned long long values[32] = {};
  bool complete = true;
  for (size_t other = 0; other < 32 && complete; other++) {
    if (!(mask >> other & 1)) continue;
    complete = first + other < machine.fibers.size();
    if (!complete) break;
    const Fiber &fiber = machine.fibers[first + other];
    complete = fiber.state == State::in_exchange && fiber.mask == mask && fiber.site == kind;
    values[other] = fiber.value;
  }
  if (complete) {
    for (size_t other = 0; other < 32; other++) {
      if (!(mask >> other & 1)) continue;
      Fiber &fiber = machine.fibers[first + other];
      fiber.value = values[fiber.source];
      fiber.state = State::ready;
    }
  }
  // Whoever came last waits for another turn too, so that lanes go on in any order.
  suspend();
  return self.value;
}

/// The kinds of exchanges; a line's number stands for __syncwarp.
enum : int { from_lane = -1, xor_lane = -2, down_lane = -3 };

template <typename T>
T exchange_value(int kind, unsigned mask, unsigned source, T value) {
  static_assert(sizeof(T) <= sizeof(unsigned long long));
  unsigned long long bits = 0;
  memcpy(&bits, &value, sizeof(T));
  bits = exchange(kind, mask, source, bits);
  memcpy(&value, &bits, sizeof(T));
  return value;
}

inline unsigned own_lane() { return threadIdx.x % 32; }

inline void wait_for_warp(int line, unsigned mask = 0xffffffff) { exchange(line, mask, own_lane(), 0); }

/// The address of a 16-byte access, which ends the launch where a GPU would trap.
template <typename T>
T *checked(T *address) {
  if (reinterpret_cast<size_t>(address) % 16) fail();
  return address;
}

inline void run_thread() {
  for (;;) {
    machine.kernel(machine.arguments);
    machine.current->state = State::done;
    suspend();
  }
}

inline unsigned random_below(unsigned count) {
  machine.random = machine.random * 1664525 + 1013904223;
  return unsigned((unsigned long long)(machine.random) * count >> 32);
}

inline void scramble(std::vector<unsigned> &order) {
  for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_below(unsigned(i))]);
}

inline bool run_block(std::vector<unsigned> &order) {
  if (__start_collapse_shared)
    memset(__start_collapse_shared, 0xff, size_t(__stop_collapse_shared - __start_collapse_shared));
  for (auto &fiber : machine.fibers) fiber.state = State::ready;
  for (;;) {
    bool progress = false;
    scramble(order);
    for (const unsigned i : order) {
      if (machine.fibers[i].state != State::ready) continue;
      progress = true;
      threadIdx = {i, 0, 0};
      resume(machine.fibers[i]);
      if (machine.failed) return false;
    }
    if (progress) continue;
    const Fiber &first = machine.fibers[0];
    if (first.state == State::in_exchange) return false;
    for (const auto &fiber : machine.fibers) {
      if (fiber.state != first.state) return false;
      if (first.state == State::at_barrier && fiber.site != first.site) return false;
    }
    if (first.state == State::done) return true;
    for (auto &fiber : machine.fibers) fiber.state = State::ready;
  }
}

/// Runs a kernel's blocks one after another; false where the launch is impossible or goes wrong.
inline bool launch(void (*kernel)(void **), unsigned grid_x, unsigned grid_y, unsigned threads,
                   void **arguments) {
  if (!threads || threads > 1024 || !grid_x || grid_x > 0x7fffffff || !grid_y || grid_y > 65535) return false;
  constexpr size_t stack_size = 1 << 16;
  machine.kernel = kernel;
  machine.arguments = arguments;
  machine.failed = false;
  machine.random = 1;
  machine.fibers.clear();
  machine.fibers.resize(threads);
  for (auto &fiber : machine.fibers) {
    fiber.stack.reset(new char[stack_size]);
    getcontext(&fiber.beginning);
    fiber.beginning.uc_stack.ss_sp = fiber.stack.get();
    fiber.beginning.uc_stack.ss_size = stack_size;
    fiber.beginning.uc_link = nullptr;
    makecontext(&fiber.beginning, run_thread, 0);
  }
  gridDim = {grid_x, grid_y, 1};
  blockDim = {threads, 1, 1};
  std::vector<unsigned> order(threads), blocks(size_t(grid_x) * grid_y);
  std::iota(order.begin(), order.end(), 0u);
  std::iota(blocks.begin(), blocks.end(), 0u);
  scramble(blocks);
  for (const unsigned block : blocks) {
    blockIdx = {block % grid_x, block / grid_x, 0};
    if (!run_block(order)) return false;
  }
  return true;
}

/// Calls a kernel with the values at the addresses, as its signature has them.
template <auto kernel>
struct Thunk;

template <typename... Arguments, void (*kernel)(Arguments...)>
struct Thunk<kernel> {
  static void call(void **arguments) { call(arguments, std::index_sequence_for<Arguments...>()); }

  template <size_t... index>
  static void call(void **arguments, std::index_sequence<index...>) {
    kernel(*static_cast<Arguments *>(arguments[index])...);
  }
};

}  // namespace emulation

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return emulation::exchange_value(emulation::from_lane, mask, unsigned(lane) % 32, value);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
  const unsigned source = (emulation::own_lane() ^ unsigned(bits)) % 32;
  return emulation::exchange_value(emulation::xor_lane, mask, source, value);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by) {
  const unsigned lane = emulation::own_lane(), source = lane + by < 32 ? lane + by : lane;
  return emulation::exchange_value(emulation::down_lane, mask, source, value);
}

// Where bits must be those of separate operations. Each is a function, and compilers fuse within expressions
// only.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float rsqrtf(float a) { return 1 / sqrtf(a); }
inline double rsqrt(double a) { return 1 / sqrt(a); }

inline unsigned __float_as_uint(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  return bits;
}
inline float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
inline long long min(long long a, long long b) { return b < a ? b : a; }
inline long long max(long long a, long long b) { return a < b ? b : a; }
