// Values that cross the border: tensors, scalars, lists and messages.
#ifndef CTORCH_VALUES_H
#define CTORCH_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// An owned reference to a tensor; freed with ct_tensor_free.
typedef struct ct_tensor_s *ct_tensor;
/// An owned reference to a generator; freed with ct_generator_free.
typedef struct ct_generator_s *ct_generator;
/// What sort of thing failed.
typedef enum ct_code : int32_t {
  CT_OTHER,
  CT_OUT_OF_MEMORY,
  CT_DEVICE_FAILED,  // a kernel, a driver, or a device that is gone
  CT_BAD_INDEX,
  CT_BAD_VALUE,  // shapes and other arguments that do not fit
  CT_BAD_TYPE,
  CT_NOT_IMPLEMENTED,
  CT_LINEAR_ALGEBRA,  // a matrix for which a decomposition does not exist
} ct_code;

/// What failed and why.
typedef struct ct_failure {
  ct_code code;
  char *message;
} ct_failure;

/// A failure that its receiver frees with ct_error_free; NULL means success.
typedef ct_failure *ct_error;

typedef enum ct_tag : int32_t {
  CT_NONE,
  CT_TENSOR,
  CT_TENSOR_LIST,           // every entry present
  CT_OPTIONAL_TENSOR_LIST,  // entries may be NULL
  CT_INT,                   // also dtype, layout and memory format
  CT_INT_LIST,
  CT_DOUBLE,
  CT_DOUBLE_LIST,
  CT_BOOL,
  CT_BOOL_LIST,
  CT_STRING,
  CT_DEVICE,  // i: device type in the low 32 bits, index + 1 in the high 32
  CT_GENERATOR,
  CT_COMPLEX,  // d and the second double; only as a result
} ct_tag;

/// One argument or result. As an argument it borrows what it points to for the call; as a result
/// it owns its tensor, list or string (ct_value_free).
typedef struct ct_value {
  ct_tag tag;
  size_t count;
  union {
    ct_tensor tensor;
    const ct_tensor *tensors;
    int64_t i;
    const int64_t *ints;
    double d;
    const double *doubles;
    bool b;
    const bool *bools;
    const char *string;
    ct_generator generator;
  };
  double imaginary;
} ct_value;

/// A failure of the caller's own, for a callback to return; the message is copied.
ct_error ct_error_make(ct_code code, const char *message);
void ct_error_free(ct_error error);
/// Frees a string result.
void ct_string_free(char *string);
/// Frees what a result owns, except tensors, which its receiver has taken over.
void ct_value_free(ct_value *value);

#ifdef __cplusplus
}
#endif
#endif
