// 3×3 convolutions with stride 1 by Winograd's minimal filtering, F(4×4, 3×3), channels-last, float32.
//
// A tile of 4×4 outputs needs 36 products instead of 144: y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A, where the products of all tiles
// and channels at one of the 36 points are a matrix product (Lavin and Gray, 2016). The gradient with respect to the
// input is the same convolution with the weights turned round; the one with respect to the weights has the transposed
// matrices, Gᵀ[(A dy Aᵀ) ⊙ (Bᵀ x B)]G.
//
// The points of interpolation are 0, ±3/4, ±3/2 and infinity. With the customary 0, ±1, ±2 the error is two to four
// times as large; with these it is about twice that of the plain sum.
#include <algorithm>
#include <utility>

#include "CKernels.h"
#include "Parallel.h"
#include "Vectors.h"

using namespace kernels;

namespace {

constexpr int64_t outputs_of_tile = 4;
constexpr size_t side = 6;
constexpr size_t points = side * side;
// Rows of a matrix product that AVX2's registers hold beside each other, of sixteen columns.
constexpr size_t rows_of_product = 6;
constexpr size_t rows_of_gradient = 4;

constexpr float a = 0.75F, b = 1.5F;
constexpr float aa = a * a, bb = b * b;
constexpr float scale_zero = 1 / (aa * bb), scale_a = 1 / (2 * aa * (aa - bb)), scale_b = 1 / (2 * bb * (bb - aa));

/// Bᵀ x: six pixels to the six points.
struct OfInput {
  static constexpr size_t from = 6, to = 6;
  template <typename V>
  CK_INLINE static void apply(const V *x, V *y) {
    const V even_a = x[4] - bb * x[2], odd_a = a * (x[3] - bb * x[1]);
    const V even_b = x[4] - aa * x[2], odd_b = b * (x[3] - aa * x[1]);
    y[0] = aa * bb * x[0] - (aa + bb) * x[2] + x[4];
    y[1] = even_a + odd_a;
    y[2] = even_a - odd_a;
    y[3] = even_b + odd_b;
    y[4] = even_b - odd_b;
    y[5] = aa * bb * x[1] - (aa + bb) * x[3] + x[5];
  }
};

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

/// Transforms the columns and then the rows of a square: read(row, column) gives, write(row, column, value) takes.
template <typename Transform, typename Read, typename Write>
CK_INLINE void transform(Read read, Write write) {
  Floats between[Transform::to][Transform::from];
#pragma clang loop unroll(full)
  for (size_t column = 0; column < Transform::from; column++) {
    Floats given[Transform::from], found[Transform::to];
#pragma clang loop unroll(full)
    for (size_t row = 0; row < Transform::from; row++) given[row] = read(row, column);
    Transform::apply(given, found);
#pragma clang loop unroll(full)
    for (size_t row = 0; row < Transform::to; row++) between[row][column] = found[row];
  }
#pragma clang loop unroll(full)
  for (size_t row = 0; row < Transform::to; row++) {
    Floats found[Transform::to];
    Transform::apply(between[row], found);
#pragma clang loop unroll(full)
    for (size_t column = 0; column < Transform::to; column++) write(row, column, found[column]);
  }
}

/// How images are cut into tiles.
struct Tiles {
  int64_t height, width, down, across, count;
  explicit Tiles(const ck_convolution &c)
      : height(c.height), width(c.width), down((c.height + outputs_of_tile - 1) / outputs_of_tile),
        across((c.width + outputs_of_tile - 1) / outputs_of_tile), count(c.images * down * across) {}

  /// Where the pixels of a tile begin, `count` by `count` of them from `before` pixels up and left of its outputs;
  /// those outside of the image are at `outside`.
  template <size_t count>
  CK_INLINE void locate(int64_t tile, int64_t before, int64_t channels, const float *x, const float *outside,
                        const float *(&pixels)[count * count]) const {
    const int64_t in_image = tile % (down * across);
    const int64_t top = in_image / across * outputs_of_tile - before;
    const int64_t left = in_image % across * outputs_of_tile - before;
    const float *image = x + tile / (down * across) * height * width * channels;
    for (int64_t row = 0; row < int64_t(count); row++) {
      for (int64_t column = 0; column < int64_t(count); column++) {
        const int64_t y = top + row, z = left + column;
        const bool is_inside = y >= 0 && y < height && z >= 0 && z < width;
        pixels[row * count + column] = is_inside ? image + (y * width + z) * channels : outside;
      }
    }
  }
};

/// Distance from one point's matrix to the next. Not a power of two: all 36 would share a set of the cache.
constexpr size_t distance(size_t rows, size_t channels) { return rows * channels + width; }

/// The transformed pixels of some tiles, [points][tiles][channels].
template <typename Transform>
CK_INLINE void gather(const Tiles &tiles, size_t first, size_t count, size_t channels, const float *x,
                      const float *outside, size_t step, float *result) {
  constexpr size_t from = Transform::from;
  for (size_t tile = 0; tile < count; tile++) {
    const float *pixels[from * from];
    tiles.locate<from>(first + tile, from == side ? 1 : 0, channels, x, outside, pixels);
    for (size_t c = 0; c < channels; c += width) {
      float *to = result + tile * channels + c;
      transform<Transform>(
          [&](size_t row, size_t column) CK_INLINE_LAMBDA { return load(pixels[row * from + column] + c); },
          [&](size_t row, size_t column, Floats value) CK_INLINE_LAMBDA {
            store(to + (row * side + column) * step, value);
          });
    }
  }
}

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

/// How many tiles are worked on together: what they hold should stay in the second cache.
size_t tiles_of_block(const ck_convolution &c) {
  const size_t bytes = points * (c.inputs + c.outputs) * sizeof(float);
  const size_t fitting = (size_t{1} << 19) / bytes / rows_of_product * rows_of_product;
  return std::clamp<size_t>(fitting, 4 * rows_of_product, 16 * rows_of_product);
}

/// What a thread has for its tiles: zeros in place of what is outside of an image, and both sides at the points.
struct Bench {
  size_t most, step_in, step_out;
  float *outside, *in, *out;

  Bench(const ck_convolution &c, float *memory)
      : most(tiles_of_block(c)), step_in(distance(most, c.inputs)), step_out(distance(most, c.outputs)),
        outside(memory), in(memory + std::max(c.inputs, c.outputs)), out(in + points * step_in) {}

  static size_t size(const ck_convolution &c) {
    const size_t most = tiles_of_block(c);
    return std::max(c.inputs, c.outputs) + points * (distance(most, c.inputs) + distance(most, c.outputs));
  }

  void clear() const { std::fill(outside, in, 0.0F); }
};

/// Weights of a convolution at all points.
size_t transformed(const ck_convolution &c) { return points * c.inputs * c.outputs; }

template <typename T>
CK_INLINE void convolve(const ck_convolution &c, const T *x, const T *weights, const Bench &bench, size_t begin,
                        size_t end, T *y) {
  const Tiles tiles(c);
  const size_t inputs = c.inputs, outputs = c.outputs;
  for (size_t first = begin; first < end; first += bench.most) {
    const size_t count = std::min(bench.most, end - first);
    gather<OfInput>(tiles, first, count, inputs, x, bench.outside, bench.step_in, bench.in);
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

/// The convolution of a shape, with weights(begin, end, u) to transform those of some outputs.
template <typename Weights>
void run(const ck_convolution &c, const float *x, int32_t threads, float *scratch, Weights weights, float *y) {
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(c.outputs, width, thread, used);
    weights(share.begin, share.end, scratch);
  });
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(Tiles(c).count, 1, thread, used);
    const Bench bench(c, scratch + transformed(c) + thread * Bench::size(c));
    bench.clear();
    run_convolve<float>(c, x, scratch, bench, share.begin, share.end, y);
  });
}

constexpr size_t megabyte = size_t{1} << 20;
size_t bytes(const ck_convolution &c) { return transformed(c) * sizeof(float); }

}  // namespace

extern "C" bool ck_winograd_pays(ck_convolution c, int32_t) {
  // With AVX-512 this was not measured; bfloat16 is what is fast there.
  static const bool is_faster = vector_level() == 256;
  return is_faster && bytes(c) <= 64 * megabyte;
}

extern "C" bool ck_winograd_weights_pay(ck_convolution c, int32_t threads) {
  // Each thread has a sum of its own, and all of them are added in the end.
  return ck_winograd_pays(c, threads) && bytes(c) * threads <= 128 * megabyte;
}

extern "C" size_t ck_winograd_scratch(ck_convolution c, int32_t threads) {
  return transformed(c) + threads * Bench::size(c);
}

extern "C" size_t ck_winograd_weights_scratch(ck_convolution c, int32_t threads) {
  return threads * (transformed(c) + Bench::size(c));
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
