#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <torch/csrc/api/include/torch/version.h>

#include "Internal.h"

extern "C" const char *ct_compiled_version(void) { return TORCH_VERSION; }

extern "C" ct_error ct_build_configuration(char **result) {
  return shim::guarded([&] { *result = shim::copy_string(at::show_config()); });
}

extern "C" int32_t ct_thread_count(void) { return at::get_num_threads(); }

extern "C" ct_error ct_set_thread_count(int32_t threads) {
  return shim::guarded([&] { at::set_num_threads(threads); });
}

extern "C" bool ct_cuda_load(void) {
  // RTLD_GLOBAL, so that the library's registrations find the loaded libtorch_cpu.
  static const bool opened = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  if (!opened) return false;
  bool available = false;
  ct_string_free(shim::guarded([&] { available = at::hasCUDA(); }));
  return available;
}

extern "C" int32_t ct_cuda_device_count(void) {
  int32_t count = 0;
  if (ct_cuda_load()) {
    ct_string_free(shim::guarded([&] { count = static_cast<int32_t>(at::detail::getCUDAHooks().deviceCount()); }));
  }
  return count;
}

extern "C" ct_error ct_cuda_synchronize(void) {
  return shim::guarded([&] { at::detail::getCUDAHooks().deviceSynchronize(at::detail::getCUDAHooks().getCurrentDevice()); });
}

extern "C" ct_error ct_set_deterministic(bool deterministic) {
  return shim::guarded([&] { at::globalContext().setDeterministicAlgorithms(deterministic, false); });
}
