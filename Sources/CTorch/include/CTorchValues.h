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
/// A message that its receiver frees with ct_string_free; NULL means success.
typedef char *ct_error;

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

/// Frees a message or a string result.
void ct_string_free(char *string);
/// Frees what a result owns, except tensors, which its receiver has taken over.
void ct_value_free(ct_value *value);

#ifdef __cplusplus
}
#endif
#endif
