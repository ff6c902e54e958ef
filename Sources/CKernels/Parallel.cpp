#include "Parallel.h"

#include <dlfcn.h>

namespace {

// libgomp, which libtorch has loaded and keeps its threads in. Called by name: compiling with OpenMP
// would bind to whichever runtime the compiler prefers, and start a second set of threads.
using Parallel = void (*)(void (*)(void *), void *, unsigned, unsigned);
using Number = int (*)();

struct Runtime {
  Parallel parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  Number thread = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
  Number threads = reinterpret_cast<Number>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"));
};

const Runtime &runtime() {
  static const Runtime found;
  return found;
}

struct Work {
  kernels::Body body;
  void *context;
};

void enter(void *data) {
  const auto *work = static_cast<Work *>(data);
  work->body(work->context, runtime().thread(), runtime().threads());
}

}  // namespace

void kernels::run_parallel(int32_t threads, Body body, void *context) {
  const auto &openmp = runtime();
  if (threads <= 1 || !openmp.parallel || !openmp.thread || !openmp.threads) {
    return body(context, 0, 1);
  }
  Work work{body, context};
  openmp.parallel(enter, &work, static_cast<unsigned>(threads), 0);
}
