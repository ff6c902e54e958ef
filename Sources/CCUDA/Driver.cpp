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
  int (*bus_id)(char *, int, int);
  int (*retain_context)(void **, int);
  int (*use_context)(void *);
  int (*exchange_capture_mode)(int *);
  int (*make_event)(cc_event *, unsigned);
  int (*record_event)(cc_event, void *);
  int (*query_event)(cc_event);
  int (*free_event)(cc_event);
  int (*make_stream)(void **, unsigned);
  int (*wait_for_event)(void *, cc_event, unsigned);
  int (*free_stream)(void *);
};

constexpr int capability_major = 75, capability_minor = 76;
constexpr int not_ready = 600;
constexpr unsigned event_without_timing = 2, stream_by_itself = 1;
constexpr int capture_mode_relaxed = 2;

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
      (error = shim::find(library, "cuGetErrorString", driver.describe)) ||
      (error = shim::find(library, "cuDeviceGetPCIBusId", driver.bus_id)) ||
      (error = shim::find(library, "cuDevicePrimaryCtxRetain", driver.retain_context)) ||
      (error = shim::find(library, "cuCtxSetCurrent", driver.use_context)) ||
      (error = shim::find(library, "cuThreadExchangeStreamCaptureMode", driver.exchange_capture_mode)) ||
      (error = shim::find(library, "cuEventCreate", driver.make_event)) ||
      (error = shim::find(library, "cuEventRecord", driver.record_event)) ||
      (error = shim::find(library, "cuEventQuery", driver.query_event)) ||
      (error = shim::find(library, "cuEventDestroy_v2", driver.free_event)) ||
      (error = shim::find(library, "cuStreamCreate", driver.make_stream)) ||
      (error = shim::find(library, "cuStreamWaitEvent", driver.wait_for_event)) ||
      (error = shim::find(library, "cuStreamDestroy_v2", driver.free_stream))) {
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

extern "C" cc_error cc_device_bus_id(int device, char *text, int size) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  int handle;
  if (auto error = checked(*d, "cuDeviceGet", d->device(&handle, device))) return error;
  return checked(*d, "cuDeviceGetPCIBusId", d->bus_id(text, size, handle));
}

extern "C" cc_error cc_context_retain(int device, cc_context *result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  int handle;
  if (auto error = checked(*d, "cuDeviceGet", d->device(&handle, device))) return error;
  return checked(*d, "cuDevicePrimaryCtxRetain", d->retain_context(result, handle));
}

extern "C" cc_error cc_context_use(cc_context context) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuCtxSetCurrent", d->use_context(context));
}

extern "C" cc_error cc_thread_ignore_recordings(void) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  int mode = capture_mode_relaxed;
  return checked(*d, "cuThreadExchangeStreamCaptureMode", d->exchange_capture_mode(&mode));
}

extern "C" cc_error cc_event_make(cc_event *result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuEventCreate", d->make_event(result, event_without_timing));
}

extern "C" cc_error cc_event_record(cc_event event, void *stream) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuEventRecord", d->record_event(event, stream));
}

extern "C" cc_error cc_event_passed(cc_event event, bool *result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  const int status = d->query_event(event);
  *result = status == 0;
  return status == not_ready ? nullptr : checked(*d, "cuEventQuery", status);
}

extern "C" cc_error cc_event_free(cc_event event) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuEventDestroy", d->free_event(event));
}

extern "C" cc_error cc_stream_make(void **result) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuStreamCreate", d->make_stream(result, stream_by_itself));
}

extern "C" cc_error cc_stream_wait(void *stream, cc_event event) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuStreamWaitEvent", d->wait_for_event(stream, event, 0));
}

extern "C" cc_error cc_stream_free(void *stream) {
  const Driver *d;
  if (auto error = driver(d)) return error;
  return checked(*d, "cuStreamDestroy", d->free_stream(stream));
}
