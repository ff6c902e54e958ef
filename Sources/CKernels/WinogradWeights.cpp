// The gradient with respect to the weights.
#include "Parallel.h"
#include "Winograd.h"

using namespace kernels;
using namespace kernels::winograd;

namespace {

// Rows of a product that is added to sums, of sixteen columns.
constexpr size_t rows_of_gradient = 4;

/// A x: the gradient of four outputs to the six points.
struct OfGradient {
  static constexpr size_t from = 4, to = 6;
  template <typename V>
  CK_INLINE static void apply(const V *x, V *y) {
    const V even_a = x[0] + aa * x[2], odd_a = a * x[1] + a * aa * x[3];
    const V even_b = x[0] + bb * x[2], odd_b = b * x[1] + b * bb * x[3];
    y[0] = x[0];
    y[1] = even_a + odd_a;
    y[2] = even_a - odd_a;
    y[3] = even_b + odd_b;
    y[4] = even_b - odd_b;
    y[5] = x[3];
  }
};

/// Gᵀ x: the six points to three taps.
struct OfSums {
  static constexpr size_t from = 6, to = 3;
  template <typename V>
  CK_INLINE static void apply(const V *x, V *y) {
    const V even_a = scale_a * (x[1] + x[2]), odd_a = scale_a * (x[1] - x[2]);
    const V even_b = scale_b * (x[3] + x[4]), odd_b = scale_b * (x[3] - x[4]);
    y[0] = scale_zero * x[0] + even_a + even_b;
    y[1] = a * odd_a + b * odd_b;
    y[2] = aa * even_a + bb * even_b + x[5];
  }
};

/// Adds the products of a few outputs with all inputs, over some tiles: values is [tiles][inputs], given is
/// [tiles][outputs].
CK_INLINE void add_products(const float *values, const float *given, size_t tiles, size_t inputs, size_t outputs,
                            float *sum) {
  for (size_t i = 0; i < inputs; i += width) {
    Floats tile[rows_of_gradient] = {};
    for (size_t k = 0; k < tiles; k++) {
      const Floats value = load(values + k * inputs + i);
#pragma clang loop unroll(full)
      for (size_t row = 0; row < rows_of_gradient; row++) tile[row] += value * given[k * outputs + row];
    }
#pragma clang loop unroll(full)
    for (size_t row = 0; row < rows_of_gradient; row++) {
      float *to = sum + row * inputs + i;
      store(to, load(to) + tile[row]);
    }
  }
}

/// Sets sum, [points][outputs][inputs], to what some tiles contribute.
template <typename T>
CK_INLINE void contribute(const ck_convolution &c, const T *x, const T *dy, const Bench &bench, size_t begin,
                          size_t end, T *sum) {
  const Tiles tiles(c);
  const size_t inputs = c.inputs, outputs = c.outputs;
  std::fill(sum, sum + transformed(c), 0.0F);
  for (size_t first = begin; first < end; first += bench.most) {
    const size_t count = std::min(bench.most, end - first);
    gather<OfInput>(tiles, first, count, inputs, x, bench.outside, bench.step_in, bench.in);
    gather<OfGradient>(tiles, first, count, outputs, dy, bench.outside, bench.step_out, bench.out);
    for (size_t point = 0; point < points; point++) {
      for (size_t o = 0; o < outputs; o += rows_of_gradient) {
        add_products(bench.in + point * bench.step_in, bench.out + point * bench.step_out + o, count, inputs, outputs,
                     sum + (point * outputs + o) * inputs);
      }
    }
  }
}

CK_DISPATCH(run_contribute, contribute,
            (const ck_convolution &c, const T *x, const T *dy, const Bench &bench, size_t begin, size_t end, T *sum),
            (c, x, dy, bench, begin, end, sum))

/// The taps, [outputs][3][3][inputs], of some outputs from the sums of all threads, one after another.
template <typename T>
CK_INLINE void taps(const ck_convolution &c, const T *sums, size_t threads, size_t begin, size_t end, T *gradient) {
  for (size_t o = begin; o < end; o++) {
    for (size_t i = 0; i < size_t(c.inputs); i += width) {
      transform<OfSums>(
          [&](size_t row, size_t column) CK_INLINE_LAMBDA {
            const T *from = sums + ((row * side + column) * c.outputs + o) * c.inputs + i;
            Floats value = load(from);
            for (size_t thread = 1; thread < threads; thread++) value += load(from + thread * transformed(c));
            return value;
          },
          [&](size_t row, size_t column, Floats value) CK_INLINE_LAMBDA {
            store(gradient + (o * 9 + row * 3 + column) * c.inputs + i, value);
          });
    }
  }
}

CK_DISPATCH(run_taps, taps,
            (const ck_convolution &c, const T *sums, size_t threads, size_t begin, size_t end, T *gradient),
            (c, sums, threads, begin, end, gradient))

}  // namespace

extern "C" bool ck_winograd_weights_pay(ck_convolution c, int32_t threads) {
  // Each thread has a sum of its own, and all of them are added in the end.
  return ck_winograd_pays(c, threads) && bytes(c) * threads <= 128 * megabyte;
}

extern "C" size_t ck_winograd_weights_scratch(ck_convolution c, int32_t threads) {
  return threads * (transformed(c) + Bench::size(c));
}

extern "C" void ck_winograd_weights(ck_convolution c, const float *x, const float *dy, int32_t threads,
                                    float *scratch, float *gradient) {
  float *benches = scratch + threads * transformed(c);
  int32_t parts = 1;
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(Tiles(c).count, 1, thread, used);
    const Bench bench(c, benches + thread * Bench::size(c));
    bench.clear();
    run_contribute<float>(c, x, dy, bench, share.begin, share.end, scratch + thread * transformed(c));
    if (thread == 0) parts = used;
  });
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(c.outputs, 1, thread, used);
    run_taps<float>(c, scratch, parts, share.begin, share.end, gradient);
  });
}
