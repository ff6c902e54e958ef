// Numerical kernels for the CPU that libtorch lacks: several passes over memory made one. Plain
// pointers, no libtorch; the caller answers for sizes. Where nothing else is said, all is computed in float32,
// whatever the type of the elements, long sums are kept in float64 where that is said, and results depend on the thread
// count only by rounding.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Bits of the widest vectors that the kernels use on this processor: 512, 256, or 128 where it is not x86-64 or has
/// no AVX2.
int32_t ck_vector_bits(void);

typedef enum ck_type : int32_t { CK_FLOAT32, CK_BFLOAT16 } ck_type;

/// Rows of channels, channels innermost, as N×C×H×W images lie in memory channels-last: N·H·W rows.
typedef struct ck_rows {
  ck_type type;
  size_t rows;
  /// A multiple of ck_channel_unit.
  size_t channels;
  /// How many threads may be used; 1 or more.
  int32_t threads;
} ck_rows;

/// What the number of channels must be a multiple of.
extern const size_t ck_channel_unit;

/// Mean and population variance of each channel (summed in float64) of x, or of x + addend, which is then written to sum
/// (sum may be x itself; addend and sum may be NULL together). Those of no rows are not numbers.
void ck_channel_statistics(ck_rows rows, const void *x, const void *addend, void *sum, float *mean,
                           float *variance);

/// y = max(0, (x − mean) · scale + shift) for each channel; as above, x may be x + addend, which is then
/// written to sum.
void ck_scale_shift(ck_rows rows, const void *x, const void *addend, void *sum, const float *mean,
                    const float *scale, const float *shift, void *y);

/// For each channel the sums (in float64) of g and of g · (x − mean), where g is the gradient that comes out of the
/// ReLU of ck_scale_shift: dy where that gave a positive number, else 0.
void ck_norm_gradient_sums(ck_rows rows, const void *dy, const void *x, const float *mean,
                           const float *scale, const float *shift, float *sum,
                           float *sum_product);

/// dx = scale · g + slope · (x − mean) + offset for each channel, plus skip where that is not NULL.
void ck_norm_gradient(ck_rows rows, const void *dy, const void *x, const void *skip, const float *mean,
                      const float *scale, const float *shift, const float *slope, const float *offset,
                      void *dx);

/// A convolution of channels-last images with square kernels.
typedef struct ck_convolution {
  int64_t images, height, width, inputs;
  int64_t output_height, output_width, outputs;
  int64_t kernel, stride, padding;
} ck_convolution;

/// Whether ck_convolution_weights can be called: on x86-64 with AVX2.
bool ck_convolution_weights_possible(void);

/// Whether it is faster than oneDNN: without AVX-512, where oneDNN 3's kernel reaches half of what matrix
/// products do, and while the gradient stays in the cache (1 MB, 160 by 160 channels of 3×3).
bool ck_convolution_weights_pay(ck_convolution convolution, int32_t threads);

/// The gradient with respect to the weights, [outputs][kernel][kernel][inputs], of images x and the
/// output's gradient dy. Inputs are a multiple of 16, outputs of 4. Sums are in float32.
void ck_convolution_weights(ck_convolution convolution, const float *x, const float *dy, int32_t threads,
                            float *gradient);

/// Whether ck_winograd, ck_winograd_input and ck_winograd_weights are faster than oneDNN: with AVX2, while the transformed
/// weights stay small (64 MB, 640 by 640 channels). They apply to 3×3 kernels with stride 1 and padding 1.
bool ck_winograd_pays(ck_convolution convolution);

/// How many floats ck_winograd and ck_winograd_input need to work with, and how many ck_winograd_weights does.
size_t ck_winograd_scratch(ck_convolution convolution, int32_t threads);
size_t ck_winograd_weights_scratch(ck_convolution convolution, int32_t threads);

/// The convolution by minimal filtering (Lavin and Gray, CVPR 2016), in a quarter of the products; its rounding error
/// is about twice the plain sum's. Weights are [outputs][3][3][inputs]; inputs and outputs are multiples of 16.
void ck_winograd(ck_convolution convolution, const float *x, const float *weights, int32_t threads,
                 float *scratch, float *y);

/// Its gradient with respect to the images, from the output's gradient dy.
void ck_winograd_input(ck_convolution convolution, const float *dy, const float *weights, int32_t threads,
                       float *scratch, float *dx);

/// Its gradient with respect to the weights, of images x and the output's gradient dy.
void ck_winograd_weights(ck_convolution convolution, const float *x, const float *dy, int32_t threads,
                         float *scratch, float *gradient);

/// Multi-head self-attention; queries, keys and values lie in one tensor, [images][tokens][3][heads][size],
/// its result in [images][tokens][heads][size]. The size of a head is a multiple of 16.
typedef struct ck_attention {
  ck_type type;
  size_t images, tokens, heads, size;
  int32_t threads;
} ck_attention;

/// softmax(q kᵀ / √size) v; logs, [images][heads][tokens], is what the backward pass needs.
void ck_attention_forward(ck_attention shape, const void *qkv, void *output, float *logs);

/// The gradient with respect to qkv, of its shape, from the output and its gradient.
void ck_attention_backward(ck_attention shape, const void *qkv, const void *output, const void *gradient,
                           const float *logs, void *result);

/// y = gelu(x + bias), with gelu(v) = v Φ(v), to within 1e-6 of v.
void ck_bias_gelu(ck_rows rows, const void *x, const float *bias, void *y);

/// dx = dy · gelu′(x + bias), and its sums over the rows.
void ck_bias_gelu_gradient(ck_rows rows, const void *dy, const void *x, const float *bias, void *dx,
                           float *bias_gradient);

/// Features of samples, one a row.
typedef struct ck_samples {
  /// Whether elements are float64 rather than float32.
  bool is_double;
  size_t count, dimension;
  int32_t threads;
} ck_samples;

/// Adds to sums[label], of `dimension` each, what x − pivots[label] is for every sample, and the square of its
/// length to squares[label]. All in float64. Labels are below `classes`.
void ck_class_sums(ck_samples samples, const void *x, const int64_t *labels, const double *pivots,
                   size_t classes, double *sums, double *squares);

#ifdef __cplusplus
}
#endif
#endif
