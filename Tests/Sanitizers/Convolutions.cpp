// Convolutions and their gradients, against plain loops.
#include "CKernels.h"
#include "Check.h"
#include "Drivers.h"

using namespace check;

namespace {

/// One convolution, with numbers.
struct Case {
  ck_convolution c;
  Exact<float> x, dy, weights;
  std::string name;

  explicit Case(ck_convolution c)
      : c(c), x(numbers(c.images * c.height * c.width * c.inputs)),
        dy(numbers(c.images * c.output_height * c.output_width * c.outputs)),
        weights(numbers(c.outputs * c.kernel * c.kernel * c.inputs)),
        name(" of " + std::to_string(c.images) + "×" + std::to_string(c.height) + "×" + std::to_string(c.width) + "×" +
             std::to_string(c.inputs) + " to " + std::to_string(c.outputs) + ", kernel " + std::to_string(c.kernel)) {}

  /// Calls with places in x, dy and the weights for every product of the convolution.
  template <typename Body>
  void products(Body body) const {
    for (int64_t n = 0; n < c.images; n++) {
      for (int64_t oh = 0; oh < c.output_height; oh++) {
        for (int64_t ow = 0; ow < c.output_width; ow++) {
          for (int64_t kh = 0; kh < c.kernel; kh++) {
            for (int64_t kw = 0; kw < c.kernel; kw++) {
              const int64_t h = oh * c.stride + kh - c.padding, w = ow * c.stride + kw - c.padding;
              if (h < 0 || w < 0 || h >= c.height || w >= c.width) continue;
              channels(((n * c.height + h) * c.width + w) * c.inputs,
                       ((n * c.output_height + oh) * c.output_width + ow) * c.outputs, (kh * c.kernel + kw) * c.inputs,
                       body);
            }
          }
        }
      }
    }
  }

  template <typename Body>
  void channels(size_t from, size_t to, size_t tap, Body body) const {
    for (int64_t o = 0; o < c.outputs; o++) {
      for (int64_t i = 0; i < c.inputs; i++) {
        body(from + i, to + o, o * c.kernel * c.kernel * c.inputs + tap + i);
      }
    }
  }
};

void compare(const Exact<float> &found, const Exact<double> &expected, const std::string &what) {
  for (size_t i = 0; i < found.count; i++) near(found[i], expected[i], 2e-4, what, i);
}

Exact<double> weight_gradient(const Case &k) {
  Exact<double> expected(k.weights.count);
  k.products([&](size_t x, size_t y, size_t w) { expected[w] += double(k.x[x]) * k.dy[y]; });
  return expected;
}

void weights(const Case &k, int32_t threads) {
  Exact<float> found(k.weights.count, NAN);
  ck_convolution_weights(k.c, k.x.data(), k.dy.data(), threads, found.data());
  compare(found, weight_gradient(k), "gradient of weights" + k.name);
}

void winograd(const Case &k, int32_t threads) {
  Exact<float> scratch(ck_winograd_scratch(k.c, threads), NAN);
  Exact<float> y(k.dy.count, NAN), dx(k.x.count, NAN), dw(k.weights.count, NAN);
  Exact<double> expected_y(k.dy.count), expected_dx(k.x.count);
  k.products([&](size_t x, size_t y, size_t w) {
    expected_y[y] += double(k.x[x]) * k.weights[w];
    expected_dx[x] += double(k.dy[y]) * k.weights[w];
  });
  ck_winograd(k.c, k.x.data(), k.weights.data(), threads, scratch.data(), y.data());
  compare(y, expected_y, "minimal filtering" + k.name);
  ck_winograd_input(k.c, k.dy.data(), k.weights.data(), threads, scratch.data(), dx.data());
  compare(dx, expected_dx, "gradient of images" + k.name);
  Exact<float> other(ck_winograd_weights_scratch(k.c, threads), NAN);
  ck_winograd_weights(k.c, k.x.data(), k.dy.data(), threads, other.data(), dw.data());
  compare(dw, weight_gradient(k), "gradient of weights by minimal filtering" + k.name);
}

ck_convolution shape(int64_t images, int64_t height, int64_t width, int64_t inputs, int64_t outputs, int64_t kernel,
                     int64_t stride, int64_t padding) {
  const auto size = [&](int64_t length) { return (length + 2 * padding - kernel) / stride + 1; };
  return {images, height, width, inputs, size(height), size(width), outputs, kernel, stride, padding};
}

}  // namespace

void check_convolutions() {
  for (const int64_t images : {0, 1, 3}) {
    for (const auto &[height, width] : {std::pair{1, 1}, {3, 2}, {4, 4}, {5, 9}}) {
      for (const int64_t inputs : {16, 32}) {
        for (const int32_t threads : {1, 3}) {
          for (const int64_t outputs : {16, 48}) winograd(Case(shape(images, height, width, inputs, outputs, 3, 1, 1)), threads);
          if (!ck_convolution_weights_possible()) continue;
          for (const int64_t outputs : {4, 12}) {
            weights(Case(shape(images, height, width, inputs, outputs, 1, 1, 0)), threads);
            weights(Case(shape(images, height, width, inputs, outputs, 1, 2, 0)), threads);
            weights(Case(shape(images, height, width, inputs, outputs, 3, 1, 1)), threads);
            weights(Case(shape(images, height, width, inputs, outputs, 3, 2, 1)), threads);
            weights(Case(shape(images, height, width, inputs, outputs, 5, 1, 2)), threads);
          }
        }
      }
    }
  }
  // Several blocks of tiles a thread, and several parts of sums.
  winograd(Case(shape(2, 33, 30, 16, 32, 3, 1, 1)), 2);
}
