// Random generators as explicit values.
#ifndef CTORCH_GENERATORS_H
#define CTORCH_GENERATORS_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A new generator on a device (as in CT_DEVICE) that starts from `seed`.
ct_error ct_generator_make(int64_t device, uint64_t seed, ct_generator *result);
void ct_generator_free(ct_generator generator);
/// The generator's whole state as a uint8 tensor, and back.
ct_error ct_generator_state(ct_generator generator, ct_tensor *result);
ct_error ct_generator_set_state(ct_generator generator, ct_tensor state);

#ifdef __cplusplus
}
#endif
#endif
