// Splits work over the threads that libtorch uses, so that no second pool competes with them.
#ifndef CKERNELS_PARALLEL_H
#define CKERNELS_PARALLEL_H

#include <cstddef>
#include <cstdint>

namespace kernels {

using Body = void (*)(void *context, int32_t thread, int32_t threads);

/// Calls body once on each of at most `threads` threads and waits for all of them.
void run_parallel(int32_t threads, Body body, void *context);

/// The same for a callable (thread, threads).
template <typename Callable>
void parallel(int32_t threads, Callable &&callable) {
  run_parallel(
      threads,
      [](void *context, int32_t thread, int32_t count) {
        (*static_cast<Callable *>(context))(thread, count);
      },
      &callable);
}

/// The part of `total` that is a thread's; whole multiples of `unit`, but for the last.
struct Share {
  size_t begin, end;
  Share(size_t total, size_t unit, int32_t thread, int32_t threads) {
    const size_t units = (total + unit - 1) / unit;
    begin = units * thread / threads * unit;
    end = units * (thread + 1) / threads * unit;
    if (end > total) end = total;
    if (begin > end) begin = end;
  }
};

}  // namespace kernels

#endif
