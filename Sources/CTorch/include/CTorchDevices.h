// Devices, threads, memory, and which libtorch is loaded.
#ifndef CTORCH_DEVICES_H
#define CTORCH_DEVICES_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The libtorch that this program was compiled against, such as "2.13.0".
const char *ct_compiled_version(void);
/// libtorch's own description of its build, freed with ct_string_free.
ct_error ct_build_configuration(char **result);
/// The path of libtorch's core library as it was loaded, freed with ct_string_free.
ct_error ct_library_path(char **result);

int32_t ct_thread_count(void);
ct_error ct_set_thread_count(int32_t threads);

/// Opens libtorch's CUDA library if it is installed. True when CUDA tensors can be made.
bool ct_cuda_load(void);
int32_t ct_cuda_device_count(void);
/// Makes a CUDA device the one that this thread works on where nothing else is said.
ct_error ct_cuda_make_current(int64_t device);
/// Waits for all work queued on a CUDA device.
ct_error ct_cuda_synchronize(int64_t device);
/// Whether cuDNN may round the operands of float32 convolutions to TF32's ten bits.
ct_error ct_set_convolution_tf32(bool allowed);
/// Bytes of a CUDA device that nobody has taken, and all that it has.
ct_error ct_cuda_memory(int64_t device, int64_t *available, int64_t *all);
/// The most bytes that tensors on a CUDA device have had at a time, and that were taken from the device for them.
ct_error ct_cuda_peak_bytes(int64_t device, int64_t *tensors, int64_t *reserved);
/// Lets deterministic algorithms be required, as torch.use_deterministic_algorithms does.
ct_error ct_set_deterministic(bool deterministic);

#ifdef __cplusplus
}
#endif
#endif
