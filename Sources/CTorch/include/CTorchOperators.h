// Any ATen operator, by name, through the dispatcher.
#ifndef CTORCH_OPERATORS_H
#define CTORCH_OPERATORS_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A handle to an operator; lives as long as the process.
typedef struct ct_operator_s *ct_operator;

/// Looks up "aten::add" with overload "Tensor". The handle is worth keeping: the look-up locks.
ct_error ct_operator_find(const char *name, const char *overload, ct_operator *result);
/// The operator's schema as text, freed with ct_string_free.
ct_error ct_operator_schema(ct_operator op, char **result);
/// Calls an operator with positional arguments; missing trailing ones take the schema's defaults.
/// `results` has room for `*result_count` values and receives how many there are.
ct_error ct_operator_call(ct_operator op, const ct_value *arguments, size_t argument_count,
                          ct_value *results, size_t *result_count);

#ifdef __cplusplus
}
#endif
#endif
