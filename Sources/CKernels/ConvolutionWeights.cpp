// The gradient of a convolution with respect to its weights, channels-last, float32.
#include <algorithm>
#include <vector>

#include "CKernels.h"
#include "Parallel.h"
#include "Vectors.h"

using namespace kernels;

namespace {

// A tile of the gradient is so many outputs by sixteen inputs, which AVX2's registers hold.
constexpr size_t outputs_of_tile = 4;
// Rows of the output that stay in the first cache while all tiles and taps read them.
constexpr size_t rows_of_block = 4;

/// Positions along one side, of the output, at which a tap of the kernel falls on the image.
struct Reach {
  int64_t begin, end;
  Reach(int64_t tap, int64_t stride, int64_t padding, int64_t inputs, int64_t outputs) {
    begin = tap >= padding ? 0 : (padding - tap + stride - 1) / stride;
    end = inputs - 1 + padding - tap < 0 ? 0 : (inputs - 1 + padding - tap) / stride + 1;
    end = std::min(end, outputs);
    begin = std::min(begin, end);
  }
};

/// Adds to sum, [outputs][kernel][kernel][inputs], what some images contribute.
CK_INLINE void contribution(const ck_convolution &c, const float *x, const float *dy, int64_t first,
                            int64_t last, float *sum) {
  const int64_t step = c.stride * c.inputs;
  for (int64_t n = first; n < last; n++) {
    for (int64_t top = 0; top < c.output_height; top += rows_of_block) {
      const int64_t bottom = std::min<int64_t>(c.output_height, top + rows_of_block);
      for (int64_t kh = 0; kh < c.kernel; kh++) {
        const Reach high(kh, c.stride, c.padding, c.height, c.output_height);
        for (int64_t kw = 0; kw < c.kernel; kw++) {
          const Reach wide(kw, c.stride, c.padding, c.width, c.output_width);
          const int64_t begin = std::max(top, high.begin), end = std::min(bottom, high.end);
          for (int64_t o = 0; o < c.outputs; o += outputs_of_tile) {
            for (int64_t i = 0; i < c.inputs; i += width) {
              Floats tile[outputs_of_tile] = {};
              for (int64_t row = begin; row < end; row++) {
                const int64_t line = n * c.height + row * c.stride + kh - c.padding;
                const float *from = x + (line * c.width + wide.begin * c.stride + kw - c.padding) * c.inputs + i;
                const float *given = dy + ((n * c.output_height + row) * c.output_width + wide.begin) * c.outputs + o;
                for (int64_t column = wide.begin; column < wide.end; column++) {
                  const Floats value = load(from);
#pragma clang loop unroll(full)
                  for (size_t k = 0; k < outputs_of_tile; k++) tile[k] += value * given[k];
                  from += step;
                  given += c.outputs;
                }
              }
#pragma clang loop unroll(full)
              for (size_t k = 0; k < outputs_of_tile; k++) {
                float *to = sum + (((o + k) * c.kernel + kh) * c.kernel + kw) * c.inputs + i;
                store(to, load(to) + tile[k]);
              }
            }
          }
        }
      }
    }
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"), noinline)) void run_contribution(
    const ck_convolution &convolution, const float *x, const float *dy, int64_t first, int64_t last,
    float *sum) {
  contribution(convolution, x, dy, first, last, sum);
}
#endif

/// Elements of the gradient.
size_t elements(const ck_convolution &c) { return c.outputs * c.kernel * c.kernel * c.inputs; }

}  // namespace

extern "C" bool ck_convolution_weights_possible(void) {
#if defined(__x86_64__)
  return vector_level() >= 256;
#else
  return false;
#endif
}

extern "C" bool ck_convolution_weights_pay(ck_convolution convolution, int32_t threads) {
  static const bool is_faster = ck_convolution_weights_possible() && vector_level() == 256;
  // Each thread goes through a gradient of its own for every few rows of an image, and all of them are
  // added in the end: they have to stay in the cache.
  const size_t bytes = elements(convolution) * sizeof(float);
  return is_faster && bytes <= size_t{1} << 20 && bytes * threads <= size_t{64} << 20;
}

extern "C" void ck_convolution_weights(ck_convolution convolution, const float *x, const float *dy,
                                       int32_t threads, float *gradient) {
#if defined(__x86_64__)
  const size_t count = elements(convolution);
  std::vector<std::vector<float>> parts(threads);
  parallel(threads, [&](int32_t thread, int32_t used) {
    parts[thread].resize(count);
    const Share share(convolution.images, 1, thread, used);
    run_contribution(convolution, x, dy, share.begin, share.end, parts[thread].data());
  });
  parallel(threads, [&](int32_t thread, int32_t used) {
    const Share share(count, width, thread, used);
    std::fill(gradient + share.begin, gradient + share.end, 0.0F);
    for (const auto &part : parts) {
      if (part.empty()) continue;
      for (size_t k = share.begin; k < share.end; k++) gradient[k] += part[k];
    }
  });
#endif
}
