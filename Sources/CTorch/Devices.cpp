#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <torch/csrc/api/include/torch/version.h>

#include "Internal.h"

extern "C" const char *ct_compiled_version(void) { return TORCH_VERSION; }

extern "C" ct_error ct_build_configuration(char **result) {
  // The description asks for CUDA, and what is found at the first asking is kept: nothing, unless it is loaded.
  ct_cuda_load();
  return shim::guarded([&] { *result = shim::copy_string(at::show_config()); });
}

extern "C" ct_error ct_library_path(char **result) {
  return shim::guarded([&] {
    Dl_info info{};
    TORCH_CHECK(dladdr(reinterpret_cast<const void *>(&c10::GetAllocator), &info) != 0 && info.dli_fname != nullptr,
                "the library's path is not known");
    *result = shim::copy_string(std::string(info.dli_fname));
  });
}

extern "C" int32_t ct_thread_count(void) { return at::get_num_threads(); }

extern "C" ct_error ct_set_thread_count(int32_t threads) {
  return shim::guarded([&] { at::set_num_threads(threads); });
}

extern "C" bool ct_cuda_load(void) {
  static const bool is_available = [] {
    // RTLD_GLOBAL, so that the library's registrations find the loaded libtorch_cpu.
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) return false;
    bool found = false;
    ct_error_free(shim::guarded([&] { found = at::hasCUDA(); }));
    return found;
  }();
  return is_available;
}

extern "C" int32_t ct_cuda_device_count(void) {
  int32_t count = 0;
  if (ct_cuda_load()) {
    ct_error_free(shim::guarded([&] { count = static_cast<int32_t>(at::detail::getCUDAHooks().deviceCount()); }));
  }
  return count;
}

extern "C" ct_error ct_cuda_make_current(int64_t device) {
  return shim::guarded([&] {
    const auto place = shim::decode(device);
    c10::impl::VirtualGuardImpl(place.type()).setDevice(place);
  });
}

extern "C" ct_error ct_cuda_synchronize(int64_t device) {
  return shim::guarded([&] { at::detail::getCUDAHooks().deviceSynchronize(shim::decode(device).index()); });
}

extern "C" ct_error ct_set_convolution_tf32(bool allowed) {
  return shim::guarded([&] { at::globalContext().setAllowTF32CuDNN(allowed); });
}

extern "C" ct_error ct_set_deterministic(bool deterministic) {
  return shim::guarded([&] {
    at::globalContext().setDeterministicAlgorithms(deterministic, false);
    // What is not written is not read here; filling every new tensor would be a pass over memory each.
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  });
}

extern "C" ct_error ct_cuda_memory(int64_t device, int64_t *available, int64_t *all) {
  return shim::guarded([&] {
    const auto place = shim::decode(device);
    const auto [free, total] = at::getDeviceAllocator(place.type())->getMemoryInfo(place.index());
    *available = free;
    *all = total;
  });
}

extern "C" ct_error ct_cuda_peak_bytes(int64_t device, int64_t *tensors, int64_t *reserved) {
  return shim::guarded([&] {
    const auto place = shim::decode(device);
    const auto stats = at::getDeviceAllocator(place.type())->getDeviceStats(place.index());
    constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *tensors = stats.allocated_bytes[all].peak;
    *reserved = stats.reserved_bytes[all].peak;
  });
}
