// Tensors: making them from host memory, reading their metadata and contents, counting them.
#ifndef CTORCH_TENSORS_H
#define CTORCH_TENSORS_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A contiguous tensor with a copy of `bytes` bytes from `data` (or zeros when data is NULL), on a device as in
/// CT_DEVICE. Does not wait for the device.
ct_error ct_tensor_from_bytes(const void *data, size_t bytes, const int64_t *shape, size_t rank,
                              int32_t dtype, int64_t device, ct_tensor *result);
/// Overwrites the elements of a contiguous tensor with bytes, of which there must be exactly as many. Does not wait for
/// the device.
ct_error ct_tensor_overwrite(ct_tensor tensor, const void *data, size_t bytes);
/// For each of some tensors another of the same shape, type, layout and device, its elements unwritten.
ct_error ct_tensors_like(const ct_tensor *tensors, size_t count, ct_tensor *results);
/// Copies the elements, contiguous and on the CPU, into `data`; `bytes` must be their exact size.
ct_error ct_tensor_copy_bytes(ct_tensor tensor, void *data, size_t bytes);
/// Address of the first element, on the tensor's own device; valid as long as the tensor.
ct_error ct_tensor_address(ct_tensor tensor, void **result);
/// A second owned reference to the same tensor.
ct_error ct_tensor_retain(ct_tensor tensor, ct_tensor *result);
void ct_tensor_free(ct_tensor tensor);

size_t ct_tensor_rank(ct_tensor tensor);
/// Writes `ct_tensor_rank` sizes.
void ct_tensor_shape(ct_tensor tensor, int64_t *shape);
int32_t ct_tensor_dtype(ct_tensor tensor);
/// Device as in CT_DEVICE.
int64_t ct_tensor_device(ct_tensor tensor);
size_t ct_tensor_element_size(ct_tensor tensor);
/// Whether two references name the same storage.
bool ct_tensor_shares_storage(ct_tensor a, ct_tensor b);
bool ct_tensor_is_contiguous(ct_tensor tensor, int32_t memory_format);

/// How often elements of any of some tensors were changed in place by libtorch's operators, as they count it.
ct_error ct_tensors_changes(const ct_tensor *tensors, size_t count, int64_t *result);

/// Owned references that this thread has made, less those that it has freed.
int64_t ct_live_tensors(void);

#ifdef __cplusplus
}
#endif
#endif
