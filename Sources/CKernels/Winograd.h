// 3×3 convolutions with stride 1 by Winograd's minimal filtering, F(4×4, 3×3), channels-last, float32.
//
// A tile of 4×4 outputs needs 36 products instead of 144: y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A, where the products of all tiles
// and channels at one of the 36 points are a matrix product (Lavin and Gray, 2016). The gradient with respect to the
// input is the same convolution with the weights turned round; the one with respect to the weights has the transposed
// matrices, Gᵀ[(A dy Aᵀ) ⊙ (Bᵀ x B)]G.
//
// The points of interpolation are 0, ±3/4, ±3/2 and infinity. With the customary 0, ±1, ±2 the error is two to four
// times as large; with these it is about twice that of the plain sum.
#ifndef CKERNELS_WINOGRAD_H
#define CKERNELS_WINOGRAD_H

#include <algorithm>

#include "CKernels.h"
#include "Vectors.h"

namespace kernels::winograd {

constexpr int64_t outputs_of_tile = 4;
constexpr size_t side = 6;
constexpr size_t points = side * side;
// Rows of a matrix product that AVX2's registers hold beside each other, of sixteen columns.
constexpr size_t rows_of_product = 6;

// The points of interpolation, beside 0 and infinity: ±a and ±b.
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

/// The transformed pixels of some tiles, [points][tiles][own], of the first `own` channels from x on.
template <typename Transform>
CK_INLINE void gather(const Tiles &tiles, size_t first, size_t count, size_t channels, size_t own, const float *x,
                      const float *outside, size_t step, float *result) {
  constexpr size_t from = Transform::from;
  for (size_t tile = 0; tile < count; tile++) {
    const float *pixels[from * from];
    tiles.locate<from>(first + tile, from == side ? 1 : 0, channels, x, outside, pixels);
    for (size_t c = 0; c < own; c += width) {
      float *to = result + tile * own + c;
      transform<Transform>(
          [&](size_t row, size_t column) CK_INLINE_LAMBDA { return load(pixels[row * from + column] + c); },
          [&](size_t row, size_t column, Floats value) CK_INLINE_LAMBDA {
            store(to + (row * side + column) * step, value);
          });
    }
  }
}

/// How many tiles are worked on together: what they hold should stay in the second cache.
inline size_t tiles_of_block(const ck_convolution &c) {
  const size_t bytes = points * (c.inputs + c.outputs) * sizeof(float);
  const size_t fitting = (size_t{1} << 19) / bytes / rows_of_product * rows_of_product;
  return std::clamp<size_t>(fitting, 4 * rows_of_product, 16 * rows_of_product);
}

/// What a thread has for its tiles: zeros in place of what is outside of an image, and both sides at the points.
struct Bench {
  size_t most, step_in, step_out;
  float *outside, *in, *out;

  /// Of all inputs and so many of the outputs.
  Bench(const ck_convolution &c, size_t outputs, float *memory)
      : most(tiles_of_block(c)), step_in(distance(most, c.inputs)), step_out(distance(most, outputs)),
        outside(memory), in(memory + std::max(c.inputs, c.outputs)), out(in + points * step_in) {}

  /// Floats that it takes, of all outputs.
  static size_t size(const ck_convolution &c) {
    const size_t most = tiles_of_block(c);
    return std::max(c.inputs, c.outputs) + points * (distance(most, c.inputs) + distance(most, c.outputs));
  }

  void clear() const { std::fill(outside, in, 0.0F); }
};

/// Weights of a convolution at all points.
inline size_t transformed(const ck_convolution &c) { return points * c.inputs * c.outputs; }

constexpr size_t megabyte = size_t{1} << 20;
/// Bytes of these.
inline size_t bytes(const ck_convolution &c) { return transformed(c) * sizeof(float); }

}  // namespace kernels::winograd

#endif
