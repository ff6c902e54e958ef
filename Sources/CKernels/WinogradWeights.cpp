// The gradient with respect to the weights.
#include "Parallel.h"
#include "Winograd.h"

using namespace kernels;
using namespace kernels::winograd;

namespace {

// Rows of a product that is added to sums, of sixteen columns.
constexpr size_t rows_of_gradient = 4;
// What all sums together may take, where one alone does not take more.
constexpr size_t most_of_sums = 32 * megabyte;

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

/// How the work is shared out: so many parts of the tiles, each with sums of its own, that are added in the end; and in
/// each part so many groups of outputs, which share its sums but transform its images each for itself.
struct Split {
  size_t parts, groups;

  Split(const ck_convolution &c, int32_t threads) {
    parts = std::clamp<size_t>(most_of_sums / bytes(c), 1, threads);
    groups = threads / parts;
  }
  size_t sums(const ck_convolution &c) const { return parts * transformed(c); }
  size_t units() const { return parts * groups; }
};

/// Sets sum, [points][outputs][inputs], for some outputs to what some tiles contribute.
template <typename T>
CK_INLINE void contribute(const ck_convolution &c, const T *x, const T *dy, Share of_tiles, Share of_outputs,
                          float *memory, T *sum) {
  const Tiles tiles(c);
  const size_t inputs = c.inputs, outputs = c.outputs, own = of_outputs.end - of_outputs.begin;
  const Bench bench(c, own, memory);
  bench.clear();
  for (size_t point = 0; point < points; point++) {
    T *from = sum + (point * outputs + of_outputs.begin) * inputs;
    std::fill(from, from + own * inputs, 0.0F);
  }
  for (size_t first = of_tiles.begin; first < of_tiles.end; first += bench.most) {
    const size_t count = std::min(bench.most, of_tiles.end - first);
    gather<OfInput>(tiles, first, count, inputs, inputs, x, bench.outside, bench.step_in, bench.in);
    gather<OfGradient>(tiles, first, count, outputs, own, dy + of_outputs.begin, bench.outside, bench.step_out,
                       bench.out);
    for (size_t point = 0; point < points; point++) {
      for (size_t o = 0; o < own; o += rows_of_gradient) {
        add_products(bench.in + point * bench.step_in, bench.out + point * bench.step_out + o, count, inputs, own,
                     sum + (point * outputs + of_outputs.begin + o) * inputs);
      }
    }
  }
}

CK_DISPATCH(run_contribute, contribute,
            (const ck_convolution &c, const T *x, const T *dy, Share of_tiles, Share of_outputs, float *memory, T *sum),
            (c, x, dy, of_tiles, of_outputs, memory, sum))

/// The taps, [outputs][3][3][inputs], of some outputs from the sums of all parts, one after another.
template <typename T>
CK_INLINE void taps(const ck_convolution &c, const T *sums, size_t parts, size_t begin, size_t end, T *gradient) {
  for (size_t o = begin; o < end; o++) {
    for (size_t i = 0; i < size_t(c.inputs); i += width) {
      transform<OfSums>(
          [&](size_t row, size_t column) CK_INLINE_LAMBDA {
            const T *from = sums + ((row * side + column) * c.outputs + o) * c.inputs + i;
            Floats value = load(from);
            for (size_t part = 1; part < parts; part++) value += load(from + part * transformed(c));
            return value;
          },
          [&](size_t row, size_t column, Floats value) CK_INLINE_LAMBDA {
            store(gradient + (o * 9 + row * 3 + column) * c.inputs + i, value);
          });
    }
  }
}

CK_DISPATCH(run_taps, taps,
            (const ck_convolution &c, const T *sums, size_t parts, size_t begin, size_t end, T *gradient),
            (c, sums, parts, begin, end, gradient))

}  // namespace

extern "C" size_t ck_winograd_weights_scratch(ck_convolution c, int32_t threads) {
  return Split(c, threads).sums(c) + threads * Bench::size(c);
}

extern "C" void ck_winograd_weights(ck_convolution c, const float *x, const float *dy, int32_t threads,
                                    float *scratch, float *gradient) {
  const Split split(c, threads);
  parallel(threads, [&](int32_t thread, int32_t used) {
    float *memory = scratch + split.sums(c) + thread * Bench::size(c);
    for (size_t unit = thread; unit < split.units(); unit += used) {
      const int32_t part = unit / split.groups, group = unit % split.groups;
      const Share of_outputs(c.outputs, width, group, split.groups);
      if (of_outputs.begin == of_outputs.end) continue;
      run_contribute<float>(c, x, dy, Share(Tiles(c).count, 1, part, split.parts), of_outputs, memory,
                            scratch + part * transformed(c));
    }
  });
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(c.outputs, 1, thread, used);
    run_taps<float>(c, scratch, split.parts, share.begin, share.end, gradient);
  });
}
