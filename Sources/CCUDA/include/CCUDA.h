// NVIDIA's compiler for kernels (NVRTC), its driver and its collectives (NCCL), opened when they are asked for: neither
// they nor their headers are needed to build. No logic lives here.
#ifndef CCUDA_H
#define CCUDA_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What sort of thing failed.
typedef enum cc_code {
  CC_NO_LIBRARY,  // it is not installed, or lacks a function
  CC_SOURCE,      // a source that does not compile; the message is the compiler's log
  CC_FAILED,      // the driver or the compiler says no
} cc_code;

/// What failed and why.
typedef struct cc_failure {
  cc_code code;
  char *message;
} cc_failure;

/// A failure that its receiver frees with cc_error_free; NULL means success.
typedef cc_failure *cc_error;
void cc_error_free(cc_error error);

/// An open NVRTC.
typedef struct cc_compiler_s *cc_compiler;
/// Opens NVRTC by a file's path or a library's name; it stays open.
cc_error cc_compiler_open(const char *path, cc_compiler *result);
cc_error cc_compiler_version(cc_compiler compiler, int *major, int *minor);
/// Compiles a source to machine code for the architecture that the options name; `image` is freed with cc_image_free.
cc_error cc_compile(cc_compiler compiler, const char *source, const char *name, const char *const *options,
                    size_t option_count, void **image, size_t *size);
void cc_image_free(void *image);

/// The driver's version, such as 13000 for 13.0; opens the driver.
cc_error cc_driver_version(int *result);
/// A device's compute capability, such as 9 and 0.
cc_error cc_device_capability(int device, int *major, int *minor);

/// Machine code that the driver has taken; it stays loaded.
typedef struct cc_library_s *cc_library;
cc_error cc_library_load(const void *image, cc_library *result);
/// One of its kernels.
typedef struct cc_kernel_s *cc_kernel;
cc_error cc_library_kernel(cc_library library, const char *name, cc_kernel *result);
/// Queues a kernel on a stream (CUstream). `arguments` are addresses of values, which are copied.
cc_error cc_launch(cc_kernel kernel, unsigned grid_x, unsigned grid_y, unsigned threads, void *stream,
                   void **arguments);

/// A device's place on its host's PCI bus, such as "0000:3b:00.0", with a null byte at the end.
cc_error cc_device_bus_id(int device, char *text, int size);

/// A device's context (CUcontext) that all of its libraries share; it stays.
typedef void *cc_context;
cc_error cc_context_retain(int device, cc_context *result);
/// Makes it the calling thread's.
cc_error cc_context_use(cc_context context);
/// Lets the calling thread ask for events while another thread records a graph, which would spoil the recording.
cc_error cc_thread_ignore_recordings(void);

/// A place in a stream (CUevent) that the device passes.
typedef void *cc_event;
/// Makes one in the calling thread's context.
cc_error cc_event_make(cc_event *result);
/// Puts it at a stream's end.
cc_error cc_event_record(cc_event event, void *stream);
/// Whether the device has passed it; does not wait.
cc_error cc_event_passed(cc_event event, bool *result);
cc_error cc_event_free(cc_event event);

/// Makes a stream (CUstream) in the calling thread's context that waits for no other by itself.
cc_error cc_stream_make(void **result);
/// Has what is queued on a stream from now on wait until the device passes an event, where that is now.
cc_error cc_stream_wait(void *stream, cc_event event);
/// Frees it when what is queued on it is done.
cc_error cc_stream_free(void *stream);

#ifdef __cplusplus
}
#endif

#include "CCUDACollectives.h"

#endif
