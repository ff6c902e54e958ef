// Attention and sums by class, against plain loops.
#include <vector>

#include "CKernels.h"
#include "Check.h"
#include "Drivers.h"

using namespace check;

namespace {

/// One shape of attention with its plain result, in float64.
struct Attention {
  ck_attention shape;
  size_t dimension, count;
  Exact<float> qkv, gradient;
  Exact<double> output, slopes;

  explicit Attention(ck_attention shape)
      : shape(shape), dimension(shape.heads * shape.size), count(shape.images * shape.tokens * dimension),
        qkv(numbers(3 * count)), gradient(numbers(count)), output(count), slopes(3 * count) {
    for (size_t image = 0; image < shape.images; image++) {
      for (size_t head = 0; head < shape.heads; head++) one_head(image, head);
    }
  }

  size_t place(size_t image, size_t token, size_t which, size_t head) const {
    return ((image * shape.tokens + token) * 3 + which) * dimension + head * shape.size;
  }
  size_t row(size_t image, size_t token, size_t head) const {
    return (image * shape.tokens + token) * dimension + head * shape.size;
  }

  void one_head(size_t image, size_t head) {
    const double scale = 1 / std::sqrt(double(shape.size));
    for (size_t t = 0; t < shape.tokens; t++) {
      std::vector<double> weights(shape.tokens), given(shape.tokens);
      const size_t q = place(image, t, 0, head), to = row(image, t, head);
      double sum = 0, mean = 0;
      for (size_t u = 0; u < shape.tokens; u++) {
        double product = 0;
        for (size_t i = 0; i < shape.size; i++) product += double(qkv[q + i]) * qkv[place(image, u, 1, head) + i];
        sum += weights[u] = std::exp(scale * product);
      }
      for (size_t u = 0; u < shape.tokens; u++) {
        weights[u] /= sum;
        const size_t v = place(image, u, 2, head);
        for (size_t i = 0; i < shape.size; i++) {
          output[to + i] += weights[u] * qkv[v + i];
          given[u] += double(gradient[to + i]) * qkv[v + i];
          slopes[v + i] += weights[u] * gradient[to + i];
        }
        mean += weights[u] * given[u];
      }
      for (size_t u = 0; u < shape.tokens; u++) {
        const double slope = scale * weights[u] * (given[u] - mean);
        const size_t k = place(image, u, 1, head);
        for (size_t i = 0; i < shape.size; i++) {
          slopes[q + i] += slope * qkv[k + i];
          slopes[k + i] += slope * qkv[q + i];
        }
      }
    }
  }
};

Exact<uint16_t> halves(const Exact<float> &values) {
  Exact<uint16_t> result(values.count);
  for (size_t i = 0; i < values.count; i++) {
    uint32_t word;
    __builtin_memcpy(&word, &values[i], sizeof word);
    result[i] = static_cast<uint16_t>(word >> 16);
  }
  return result;
}

float widened(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;
  float value;
  __builtin_memcpy(&value, &word, sizeof value);
  return value;
}

void attention(const ck_attention &shape) {
  const Attention plain(shape);
  const std::string name = " of " + std::to_string(shape.tokens) + " tokens, " + std::to_string(shape.heads) + " heads of " +
                           std::to_string(shape.size);
  Exact<float> logs(shape.images * shape.heads * shape.tokens, NAN);
  if (shape.type == CK_FLOAT32) {
    Exact<float> output(plain.count, NAN), slopes(3 * plain.count, NAN);
    ck_attention_forward(shape, plain.qkv.data(), output.data(), logs.data());
    ck_attention_backward(shape, plain.qkv.data(), output.data(), plain.gradient.data(), logs.data(), slopes.data());
    for (size_t i = 0; i < plain.count; i++) near(output[i], plain.output[i], 1e-4, "attention" + name, i);
    for (size_t i = 0; i < 3 * plain.count; i++) near(slopes[i], plain.slopes[i], 1e-4, "gradient of attention" + name, i);
  } else {
    const auto qkv = halves(plain.qkv), gradient = halves(plain.gradient);
    Exact<uint16_t> output(plain.count), slopes(3 * plain.count);
    ck_attention_forward(shape, qkv.data(), output.data(), logs.data());
    ck_attention_backward(shape, qkv.data(), output.data(), gradient.data(), logs.data(), slopes.data());
    for (size_t i = 0; i < plain.count; i++) near(widened(output[i]), plain.output[i], 6e-2, "attention" + name, i);
    for (size_t i = 0; i < 3 * plain.count; i++) near(widened(slopes[i]), plain.slopes[i], 0.15, "gradient of attention" + name, i);
  }
}

template <typename T>
void class_sums(size_t count, size_t dimension, size_t classes, int32_t threads) {
  Exact<T> x(count * dimension);
  Exact<int64_t> labels(count);
  Exact<double> pivots(classes * dimension), sums(classes * dimension), squares(classes);
  Exact<double> expected(classes * dimension), lengths(classes);
  for (size_t i = 0; i < x.count; i++) x[i] = number();
  for (size_t i = 0; i < pivots.count; i++) expected[i] = sums[i] = pivots[i] = number();
  for (size_t n = 0; n < count; n++) {
    const size_t label = (7 * n) % classes;
    labels[n] = static_cast<int64_t>(label);
    for (size_t i = 0; i < dimension; i++) {
      const double difference = double(x[n * dimension + i]) - pivots[label * dimension + i];
      expected[label * dimension + i] += difference;
      lengths[label] += difference * difference;
    }
  }
  ck_class_sums({sizeof(T) == 8, count, dimension, threads}, x.data(), labels.data(), pivots.data(), classes, sums.data(),
                squares.data());
  const std::string name = " of " + std::to_string(count) + "×" + std::to_string(dimension);
  for (size_t i = 0; i < sums.count; i++) near(sums[i], expected[i], 1e-12, "sums of classes" + name, i);
  for (size_t i = 0; i < classes; i++) near(squares[i], lengths[i], 1e-12, "squares of classes" + name, i);
}

}  // namespace

void check_attention() {
  for (const ck_type type : {CK_FLOAT32, CK_BFLOAT16}) {
    for (const size_t images : {0, 1, 2}) {
      for (const size_t tokens : {0, 1, 2, 15, 16, 17, 33}) {
        for (const size_t size : {16, 32, 48}) {
          for (const int32_t threads : {1, 3}) attention({type, images, tokens, 2, size, threads});
        }
      }
    }
  }
}

void check_class_sums() {
  for (const size_t count : {0, 1, 5, 70}) {
    for (const size_t dimension : {0, 1, 7, 8, 9, 31}) {
      for (const size_t classes : {1, 3}) {
        for (const int32_t threads : {1, 2, 5}) {
          class_sums<float>(count, dimension, classes, threads);
          class_sums<double>(count, dimension, classes, threads);
        }
      }
    }
  }
}
