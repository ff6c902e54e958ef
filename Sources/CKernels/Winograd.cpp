// The convolution and its gradient with respect to the images.
#include "Winograd.h"

#include <utility>

#include "Parallel.h"

using namespace kernels;
using namespace kernels::winograd;

namespace {

/// Aᵀ x: the six points to four outputs.
struct OfProducts {
  static constexpr size_t from = 6, to = 4;
  template <typename V>
  CK_INLINE static void apply(const V *x, V *y) {
    const V even_a = x[1] + x[2], odd_a = x[1] - x[2];
    const V even_b = x[3] + x[4], odd_b = x[3] - x[4];
    y[0] = x[0] + even_a + even_b;
    y[1] = a * odd_a + b * odd_b;
    y[2] = aa * even_a + bb * even_b;
    y[3] = a * aa * odd_a + b * bb * odd_b + x[5];
  }
};

/// G x: three taps to the six points.
struct OfWeights {
  static constexpr size_t from = 3, to = 6;
  template <typename V>
  CK_INLINE static void apply(const V *x, V *y) {
    y[0] = scale_zero * x[0];
    y[1] = scale_a * (x[0] + aa * x[2] + a * x[1]);
    y[2] = scale_a * (x[0] + aa * x[2] - a * x[1]);
    y[3] = scale_b * (x[0] + bb * x[2] + b * x[1]);
    y[4] = scale_b * (x[0] + bb * x[2] - b * x[1]);
    y[5] = x[2];
  }
};

/// Sixteen columns of a few rows of a product: v is [rows][inner], u is [inner][16].
template <size_t rows>
CK_INLINE void product(const float *v, size_t inner, const float *u, float *m, size_t columns) {
  Floats tile[rows] = {};
  for (size_t k = 0; k < inner; k++) {
    const Floats value = load(u + k * width);
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows; row++) tile[row] += value * v[row * inner + k];
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < rows; row++) store(m + row * columns, tile[row]);
}

CK_INLINE void some_rows(size_t rows, const float *v, size_t inner, const float *u, float *m, size_t columns) {
  switch (rows) {
    case 1: return product<1>(v, inner, u, m, columns);
    case 2: return product<2>(v, inner, u, m, columns);
    case 3: return product<3>(v, inner, u, m, columns);
    case 4: return product<4>(v, inner, u, m, columns);
    case 5: return product<5>(v, inner, u, m, columns);
    default: return product<rows_of_product>(v, inner, u, m, columns);
  }
}

template <typename T>
CK_INLINE void convolve(const ck_convolution &c, const T *x, const T *weights, const Bench &bench, size_t begin,
                        size_t end, T *y) {
  const Tiles tiles(c);
  const size_t inputs = c.inputs, outputs = c.outputs;
  for (size_t first = begin; first < end; first += bench.most) {
    const size_t count = std::min(bench.most, end - first);
    gather<OfInput>(tiles, first, count, inputs, inputs, x, bench.outside, bench.step_in, bench.in);
    for (size_t point = 0; point < points; point++) {
      for (size_t o = 0; o < outputs; o += width) {
        const float *u = weights + (point * outputs + o) * inputs;
        for (size_t row = 0; row < count; row += rows_of_product) {
          some_rows(std::min(rows_of_product, count - row), bench.in + point * bench.step_in + row * inputs,
                    inputs, u, bench.out + point * bench.step_out + row * outputs + o, outputs);
        }
      }
    }
    for (size_t tile = 0; tile < count; tile++) {
      const float *pixels[outputs_of_tile * outputs_of_tile];
      tiles.locate<outputs_of_tile>(first + tile, 0, outputs, y, nullptr, pixels);
      for (size_t o = 0; o < outputs; o += width) {
        const float *from = bench.out + tile * outputs + o;
        transform<OfProducts>(
            [&](size_t row, size_t column) CK_INLINE_LAMBDA {
              return load(from + (row * side + column) * bench.step_out);
            },
            [&](size_t row, size_t column, Floats value) CK_INLINE_LAMBDA {
              const float *pixel = pixels[row * outputs_of_tile + column];
              if (pixel) store(const_cast<float *>(pixel) + o, value);
            });
      }
    }
  }
}

CK_DISPATCH(run_convolve, convolve,
            (const ck_convolution &c, const T *x, const T *weights, const Bench &bench, size_t begin, size_t end, T *y),
            (c, x, weights, bench, begin, end, y))

/// The weights at the points, [points][outputs / 16][inputs][16], for some of the blocks of outputs. Reading is told
/// apart by a callable (output, input, row, column), since the gradient has the weights turned round.
template <typename Weight>
CK_INLINE void transform_weights(size_t inputs, size_t outputs, size_t begin, size_t end, Weight weight, float *u) {
  for (size_t o = begin; o < end; o += width) {
    for (size_t i = 0; i < inputs; i++) {
      transform<OfWeights>(
          [&](size_t row, size_t column) CK_INLINE_LAMBDA { return weight(o, i, row, column); },
          [&](size_t row, size_t column, Floats value) CK_INLINE_LAMBDA {
            store(u + ((row * side + column) * outputs + o) * inputs + i * width, value);
          });
    }
  }
}

template <typename T>
CK_INLINE void weights_forward(const ck_convolution &c, const T *weights, size_t begin, size_t end, T *u) {
  transform_weights(c.inputs, c.outputs, begin, end, [&](size_t o, size_t i, size_t row, size_t column) CK_INLINE_LAMBDA {
    Floats value;
    for (size_t k = 0; k < width; k++) value[k] = weights[((o + k) * 9 + row * 3 + column) * c.inputs + i];
    return value;
  }, u);
}

CK_DISPATCH(run_weights_forward, weights_forward,
            (const ck_convolution &c, const T *weights, size_t begin, size_t end, T *u), (c, weights, begin, end, u))

template <typename T>
CK_INLINE void weights_backward(const ck_convolution &c, const T *weights, size_t begin, size_t end, T *u) {
  transform_weights(c.outputs, c.inputs, begin, end, [&](size_t i, size_t o, size_t row, size_t column) CK_INLINE_LAMBDA {
    return load(weights + (o * 9 + (2 - row) * 3 + 2 - column) * c.inputs + i);
  }, u);
}

CK_DISPATCH(run_weights_backward, weights_backward,
            (const ck_convolution &c, const T *weights, size_t begin, size_t end, T *u), (c, weights, begin, end, u))

/// The convolution of a shape, with weights(begin, end, u) to transform those of some outputs.
template <typename Weights>
void run(const ck_convolution &c, const float *x, int32_t threads, float *scratch, Weights weights, float *y) {
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(c.outputs, width, thread, used);
    weights(share.begin, share.end, scratch);
  });
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(Tiles(c).count, 1, thread, used);
    const Bench bench(c, c.outputs, scratch + transformed(c) + thread * Bench::size(c));
    bench.clear();
    run_convolve<float>(c, x, scratch, bench, share.begin, share.end, y);
  });
}

}  // namespace

extern "C" bool ck_winograd_pays(ck_convolution c) {
  // With AVX-512 this was not measured; bfloat16 is what is fast there.
  static const bool is_faster = vector_level() == 256;
  return is_faster && bytes(c) <= 64 * megabyte;
}

extern "C" size_t ck_winograd_scratch(ck_convolution c, int32_t threads) {
  return transformed(c) + threads * Bench::size(c);
}

extern "C" void ck_winograd(ck_convolution c, const float *x, const float *weights, int32_t threads, float *scratch,
                            float *y) {
  run(c, x, threads, scratch,
      [&](size_t begin, size_t end, float *u) { run_weights_forward<float>(c, weights, begin, end, u); }, y);
}

extern "C" void ck_winograd_input(ck_convolution c, const float *dy, const float *weights, int32_t threads,
                                  float *scratch, float *dx) {
  ck_convolution back = c;
  std::swap(back.inputs, back.outputs);
  run(back, dy, threads, scratch,
      [&](size_t begin, size_t end, float *u) { run_weights_backward<float>(c, weights, begin, end, u); }, dx);
}
