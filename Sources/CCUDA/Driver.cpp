#include <mutex>

#include "Failure.h"

namespace {

// As the documentation of CUDA's driver declares them.
struct Driver {
  int (*initialise)(unsigned);
  int (*version)(int *);
  int (*device)(int *, int);
  int (*attribute)(int *, int, int);
  int (*load)(cc_library *, const void *, void *, void **, unsigned, void *, void **, unsigned);
  int (*kernel)(cc_kernel *, cc_library, const char *);
  int (*launch)(cc_kernel, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                void **);
  int (*describe)(int, const char **);
};

constexpr int capability_major = 75, capability_minor = 76;

std::string words(const Driver &driver, int status) {
  const char *text = nullptr;
  if (driver.describe(status, &text) != 0 || text == nullptr) return "error " + std::to_string(status);
  return text;
}

cc_error checked(const Driver &driver, const char *what, int status) {
  if (status == 0) return nullptr;
  return shim::failure(CC_FAILED, std::string("CUDA's ") + what + " failed: " + words(driver, status));
}

cc_error open_driver(Driver &driver) {
  void *library;
  if (auto error = shim::open("libcuda.so.1", &library)) return error;
  cc_error error = nullptr;
  if ((error = shim::find(library, "cuInit", driver.initialise)) ||
      (error = shim::find(library, "cuDriverGetVersion", driver.version)) ||
      (error = shim::find(library, "cuDeviceGet", driver.device)) ||
      (error = shim::find(library, "cuDeviceGetAttribute", driver.attribute)) ||
      (error = shim::find(library, "cuLibraryLoadData", driver.load)) ||
      (error = shim::find(library, "cuLibraryGetKernel", driver.kernel)) ||
      (error = shim::find(library, "cuLaunchKernel", driver.launch)) ||
      (error = shim::find(library, "cuGetErrorString", driver.describe))) {
    return error;
  }
  return checked(driver, "cuInit", driver.initialise(0));
}

/// The driver, opened once; a failure is tried again.
cc_error driver(const Driver *&result) {
  static std::mutex lock;
  static Driver opened;
  static bool is_open = false;
  const std::lock_guard<std::mutex> guard(lock);
  if (!is_open) {
    if (auto error = open_driver(opened)) return error;
    is_open = true;
  }
  result = &opened;
  return nullptr;
}

}  // namespace

extern "C" cc_error cc_driver_version(int *result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuDriverGetVersion", d->version(result));
}

extern "C" cc_error cc_device_capability(int device, int *major, int *minor) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  int handle;
  if (auto error = checked(*d, "cuDeviceGet", d->device(&handle, device))) return error;
  if (auto error = checked(*d, "cuDeviceGetAttribute", d->attribute(major, capability_major, handle))) return error;
  return checked(*d, "cuDeviceGetAttribute", d->attribute(minor, capability_minor, handle));
}

extern "C" cc_error cc_library_load(const void *image, cc_library *result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuLibraryLoadData", d->load(result, image, nullptr, nullptr, 0, nullptr, nullptr, 0));
}

extern "C" cc_error cc_library_kernel(cc_library library, const char *name, cc_kernel *result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuLibraryGetKernel", d->kernel(result, library, name));
}

extern "C" cc_error cc_launch(cc_kernel kernel, unsigned grid_x, unsigned grid_y, unsigned threads, void *stream,
                              void **arguments) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  // A kernel stands for a function of whichever context the stream is of.
  return checked(*d, "cuLaunchKernel",
                 d->launch(kernel, grid_x, grid_y, 1, threads, 1, 1, 0, stream, arguments, nullptr));
}
