// The three functions of libgomp that the kernels call, on threads of their own: libtorch brings them otherwise.
#include <cstdint>
#include <thread>
#include <vector>

namespace {
thread_local int own = 0, all = 1;
}

extern "C" __attribute__((visibility("default"))) int omp_get_thread_num() { return own; }
extern "C" __attribute__((visibility("default"))) int omp_get_num_threads() { return all; }

extern "C" __attribute__((visibility("default"))) void GOMP_parallel(void (*body)(void *), void *data, unsigned count,
                                                                     unsigned) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; i++) {
    threads.emplace_back([=] {
      own = static_cast<int>(i);
      all = static_cast<int>(count);
      body(data);
    });
  }
  for (auto &thread : threads) thread.join();
}
