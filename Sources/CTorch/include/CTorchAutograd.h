// Gradients, gradient mode, and functions whose backward pass is written by the caller.
#ifndef CTORCH_AUTOGRAD_H
#define CTORCH_AUTOGRAD_H

#include "CTorchValues.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Sets gradient mode on this thread and returns what it was.
bool ct_set_grad_enabled(bool enabled);
bool ct_grad_enabled(void);

bool ct_requires_grad(ct_tensor tensor);
ct_error ct_set_requires_grad(ct_tensor tensor, bool requires_grad);
/// The accumulated gradient; NULL in `result` when there is none.
ct_error ct_gradient(ct_tensor tensor, ct_tensor *result);
/// Replaces the accumulated gradient; NULL removes it.
ct_error ct_set_gradient(ct_tensor tensor, ct_tensor gradient);
/// Accumulates into the gradients of every leaf. `seed` may be NULL for a scalar root.
ct_error ct_backward(ct_tensor root, ct_tensor seed, bool retain_graph);

/// Told that the gradient of a leaf is there, on the thread that computes it. A returned failure fails the pass.
typedef ct_error (*ct_gradient_function)(void *context, size_t leaf);
/// Backward from a scalar, telling `arrived` of each of `leaves`, by its place among them, once its gradient is
/// accumulated: of one after another, and of none after the return.
ct_error ct_backward_telling(ct_tensor root, const ct_tensor *leaves, size_t leaf_count, void *context,
                             ct_gradient_function arrived);

/// Gradients of `outputs` with respect to `inputs`; `results` gets one entry an input, NULL where
/// an input is not reached. `seeds` may be NULL, as may its entries for scalar outputs.
ct_error ct_grad(const ct_tensor *outputs, const ct_tensor *seeds, size_t output_count,
                 const ct_tensor *inputs, size_t input_count, bool retain_graph, bool create_graph,
                 ct_tensor *results);

/// The backward pass of a custom function. It takes over `gradients` (NULL where there is none)
/// and writes owned tensors or NULL, one an input, to `results`. A returned message fails the pass.
typedef ct_error (*ct_backward_function)(void *context, const ct_tensor *gradients,
                                         size_t gradient_count, ct_tensor *results,
                                         size_t result_count);
/// Makes `outputs`, computed without gradients from `inputs`, differentiable by `backward`.
/// `release` is called once, when the graph no longer needs `context` (also upon failure).
ct_error ct_attach_backward(const ct_tensor *inputs, size_t input_count, const ct_tensor *outputs,
                            size_t output_count, void *context, ct_backward_function backward,
                            void (*release)(void *));

#ifdef __cplusplus
}
#endif
#endif
