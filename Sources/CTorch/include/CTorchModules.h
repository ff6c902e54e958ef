// TorchScript modules: networks exported from Python.
#ifndef CTORCH_MODULES_H
#define CTORCH_MODULES_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// An owned module; freed with ct_module_free.
typedef struct ct_module_s *ct_module;

/// Loads a file that torch.jit.save has written to a device (as in CT_DEVICE).
ct_error ct_module_load(const char *path, int64_t device, ct_module *result);
void ct_module_free(ct_module module);
/// Chooses between training and evaluation mode.
ct_error ct_module_set_training(ct_module module, bool training);
/// Calls the module. `results` has room for `*result_count` tensors and receives how many there are: one, or
/// those of a tuple or list.
ct_error ct_module_forward(ct_module module, ct_tensor input, ct_tensor *results, size_t *result_count);
/// Number of parameters and buffers.
ct_error ct_module_tensor_count(ct_module module, size_t *result);
/// One of them: its name, freed with ct_string_free, and the tensor.
ct_error ct_module_tensor(ct_module module, size_t index, char **name, ct_tensor *result);

#ifdef __cplusplus
}
#endif
#endif
