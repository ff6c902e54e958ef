// A CUDA graph, by whichever interface this libtorch has for it; neither needs CUDA's headers.
#pragma once

#include <ATen/ATen.h>

#include <memory>

#if __has_include(<ATen/accelerator/Graph.h>)

#include <ATen/accelerator/Graph.h>

namespace shim {

/// libtorch 2.12 and later.
class Graph {
 public:
  void begin() {
    graph = std::make_unique<at::accelerator::Graph>();
    graph->capture_begin();
  }
  void end() { graph->capture_end(); }
  void replay() { graph->replay(); }

 private:
  std::unique_ptr<at::accelerator::Graph> graph;
};

}  // namespace shim

#else

#include <dlfcn.h>

#include <utility>

namespace shim {

/// libtorch 2.11, whose class at::cuda::CUDAGraph only libtorch_cuda.so has, which is not linked but opened. The class is
/// complete only with CUDA's headers; here it is memory with room for it, and functions by their names.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph &) = delete;
  Graph(Graph &&other) noexcept : object(std::move(other.object)) {}
  ~Graph() {
    if (object != nullptr) call<void (*)(void *)>("_ZN2at4cuda9CUDAGraphD1Ev")(object.get());
  }

  void begin() {
    auto memory = std::make_unique<Memory>();
    call<void (*)(void *, bool)>("_ZN2at4cuda9CUDAGraphC1Eb")(memory.get(), false);
    object = std::move(memory);
    // Nothing that other threads do may get into the recording: cudaStreamCaptureModeGlobal.
    constexpr int global = 0;
    call<void (*)(void *, std::pair<unsigned long long, unsigned long long>, int)>(
        "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode")(object.get(), {0, 0}, global);
  }
  void end() { call<void (*)(void *)>("_ZN2at4cuda9CUDAGraph11capture_endEv")(object.get()); }
  void replay() { call<void (*)(void *)>("_ZN2at4cuda9CUDAGraph6replayEv")(object.get()); }

 private:
  /// The class takes 104 bytes.
  struct alignas(64) Memory {
    std::byte bytes[1024] = {};
  };

  template <typename Function>
  static Function call(const char *name) {
    void *address = dlsym(RTLD_DEFAULT, name);
    TORCH_CHECK(address != nullptr, "this libtorch cannot record CUDA graphs: it has no ", name);
    return reinterpret_cast<Function>(address);
  }

  std::unique_ptr<Memory> object;
};

}  // namespace shim

#endif
