// Batch norm and GELU, over rows of channels, against plain loops.
#include "Check.h"
#include "CKernels.h"
#include "Drivers.h"

using namespace check;

namespace {

float widened(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;
  float value;
  __builtin_memcpy(&value, &word, sizeof value);
  return value;
}

uint16_t narrowed(float value) {
  uint32_t word;
  __builtin_memcpy(&word, &value, sizeof word);
  return static_cast<uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

/// An array of either type, of which plain loops read and write floats.
struct Values {
  ck_type type;
  Exact<float> floats;
  Exact<uint16_t> halves;

  Values(ck_type type, size_t count)
      : type(type), floats(type == CK_FLOAT32 ? count : 0), halves(type == CK_FLOAT32 ? 0 : count) {}
  static Values random(ck_type type, size_t count) {
    Values values(type, count);
    for (size_t i = 0; i < count; i++) values.set(i, number());
    return values;
  }
  void *data() { return type == CK_FLOAT32 ? static_cast<void *>(floats.data()) : halves.data(); }
  float at(size_t i) const { return type == CK_FLOAT32 ? floats[i] : widened(halves[i]); }
  void set(size_t i, float value) {
    if (type == CK_FLOAT32) {
      floats[i] = value;
    } else {
      halves[i] = narrowed(value);
    }
  }
};

/// One shape, and numbers for all that the kernels take.
struct Case {
  ck_rows rows;
  size_t count;
  double tolerance;
  std::string name;
  Values x, other, dy;
  Exact<float> mean, scale, shift, slope, offset;

  explicit Case(ck_rows rows)
      : rows(rows), count(rows.rows * rows.channels), tolerance(rows.type == CK_FLOAT32 ? 1e-4 : 2e-2),
        name(" of " + std::to_string(rows.rows) + "×" + std::to_string(rows.channels) + ", type " +
             std::to_string(rows.type) + ", " + std::to_string(rows.threads) + " threads"),
        x(Values::random(rows.type, count)), other(Values::random(rows.type, count)),
        dy(Values::random(rows.type, count)), mean(numbers(rows.channels)), scale(numbers(rows.channels)),
        shift(numbers(rows.channels)), slope(numbers(rows.channels)), offset(numbers(rows.channels)) {}

  size_t channel(size_t i) const { return i % rows.channels; }

  /// x, or x + other as it is kept.
  float input(size_t i, bool isSum) const {
    if (!isSum) return x.at(i);
    Values kept(rows.type, 1);
    kept.set(0, x.at(i) + other.at(i));
    return kept.at(0);
  }
  float normed(size_t i, float value) const {
    const size_t c = channel(i);
    return (value - mean[c]) * scale[c] + shift[c];
  }
  float given(size_t i) const { return normed(i, x.at(i)) > 0 ? dy.at(i) : 0; }
  /// Near the corner of the ReLU either side is right.
  bool isCorner(size_t i) const { return std::fabs(normed(i, x.at(i))) < 1e-5; }
};

void statistics(Case &c, bool isSum) {
  Exact<float> mean(c.rows.channels), variance(c.rows.channels);
  Values sum(c.rows.type, isSum ? c.count : 0);
  ck_channel_statistics(c.rows, c.x.data(), isSum ? c.other.data() : nullptr, isSum ? sum.data() : nullptr, mean.data(),
                        variance.data());
  for (size_t k = 0; k < c.rows.channels; k++) {
    double first = 0, second = 0;
    for (size_t row = 0; row < c.rows.rows; row++) first += c.input(row * c.rows.channels + k, isSum);
    const double expected = first / static_cast<double>(c.rows.rows);
    for (size_t row = 0; row < c.rows.rows; row++) {
      second += std::pow(c.input(row * c.rows.channels + k, isSum) - expected, 2);
    }
    near(mean[k], expected, 1e-5, "mean" + c.name, k);
    near(variance[k], second / static_cast<double>(c.rows.rows), 1e-5, "variance" + c.name, k);
  }
  for (size_t i = 0; isSum && i < c.count; i++) near(sum.at(i), c.input(i, true), 1e-6, "sum" + c.name, i);
}

void scaled(Case &c, bool isSum) {
  Values sum(c.rows.type, isSum ? c.count : 0), y(c.rows.type, c.count);
  ck_scale_shift(c.rows, c.x.data(), isSum ? c.other.data() : nullptr, isSum ? sum.data() : nullptr, c.mean.data(),
                 c.scale.data(), c.shift.data(), y.data());
  for (size_t i = 0; i < c.count; i++) {
    near(y.at(i), std::fmax(0, c.normed(i, c.input(i, isSum))), c.tolerance, "scale and shift" + c.name, i);
  }
}

void gradients(Case &c, bool hasSkip) {
  Exact<float> sum(c.rows.channels), product(c.rows.channels);
  ck_norm_gradient_sums(c.rows, c.dy.data(), c.x.data(), c.mean.data(), c.scale.data(), c.shift.data(), sum.data(),
                        product.data());
  bool isNearCorner = false;
  for (size_t i = 0; i < c.count; i++) isNearCorner = isNearCorner || c.isCorner(i);
  for (size_t k = 0; k < c.rows.channels && !isNearCorner; k++) {
    double first = 0, second = 0;
    for (size_t i = k; i < c.count; i += c.rows.channels) {
      first += c.given(i);
      second += c.given(i) * (c.x.at(i) - c.mean[k]);
    }
    near(sum[k], first, 1e-4, "sum of gradients" + c.name, k);
    near(product[k], second, 1e-4, "sum of products" + c.name, k);
  }
  Values dx(c.rows.type, c.count);
  ck_norm_gradient(c.rows, c.dy.data(), c.x.data(), hasSkip ? c.other.data() : nullptr, c.mean.data(), c.scale.data(),
                   c.shift.data(), c.slope.data(), c.offset.data(), dx.data());
  for (size_t i = 0; i < c.count; i++) {
    const size_t k = c.channel(i);
    const double expected = c.scale[k] * c.given(i) + c.slope[k] * (c.x.at(i) - c.mean[k]) + c.offset[k] +
                            (hasSkip ? c.other.at(i) : 0);
    if (!c.isCorner(i)) near(dx.at(i), expected, c.tolerance, "gradient" + c.name, i);
  }
}

void gelu(Case &c) {
  Values y(c.rows.type, c.count), dx(c.rows.type, c.count);
  Exact<float> bias(c.rows.channels);
  ck_bias_gelu(c.rows, c.x.data(), c.shift.data(), y.data());
  ck_bias_gelu_gradient(c.rows, c.dy.data(), c.x.data(), c.shift.data(), dx.data(), bias.data());
  Exact<double> sums(c.rows.channels);
  for (size_t i = 0; i < c.count; i++) {
    const double v = c.x.at(i) + c.shift[c.channel(i)];
    const double below = 0.5 * (1 + std::erf(v / std::sqrt(2.0))), density = std::exp(-v * v / 2) / std::sqrt(2 * M_PI);
    near(y.at(i), v * below, c.tolerance, "GELU" + c.name, i);
    const double slope = c.dy.at(i) * (below + v * density);
    near(dx.at(i), slope, c.tolerance, "gradient of GELU" + c.name, i);
    sums[c.channel(i)] += slope;
  }
  for (size_t k = 0; k < c.rows.channels; k++) near(bias[k], sums[k], 1e-3, "gradient of the bias" + c.name, k);
}

}  // namespace

void check_rows() {
  for (const ck_type type : {CK_FLOAT32, CK_BFLOAT16}) {
    for (const size_t rows : {0, 1, 2, 63, 64, 65, 130}) {
      for (const size_t units : {1, 2, 5}) {
        for (const int32_t threads : {1, 2, 3}) {
          Case c({type, rows, units * ck_channel_unit, threads});
          for (const bool isWith : {false, true}) {
            statistics(c, isWith);
            scaled(c, isWith);
            gradients(c, isWith);
          }
          gelu(c);
        }
      }
    }
  }
}
