// The Gaussian error linear unit, x Φ(x), after the addition of a bias.
#include <algorithm>
#include <vector>

#include "CKernels.h"
#include "Math.h"
#include "Parallel.h"
#include "Vectors.h"

using namespace kernels;

namespace {

struct Normal {
  Floats distribution, density;
};

/// Φ(x) and φ(x), to 2e-7: Abramowitz & Stegun, 7.1.26 (1964), with φ shared between the two.
CK_INLINE Normal normal(Floats x) {
  Floats magnitude = reinterpret_cast<Floats>(reinterpret_cast<Masks>(x) & 0x7fffffff);
  // Beyond, both tails are zero, and the exponential would leave its range.
  const Masks beyond = magnitude > 13.0F;
  magnitude = chosen(beyond, Floats{}, magnitude);
  const Floats decay = chosen(beyond, Floats{}, exponential(magnitude * magnitude * -0.5F));
  const Floats t = 1.0F / (1.0F + magnitude * (0.3275911F * 0.70710678F));
  Floats sum = t * 1.061405429F - 1.453152027F;
  sum = sum * t + 1.421413741F;
  sum = sum * t - 0.284496736F;
  sum = sum * t + 0.254829592F;
  const Floats tail = sum * t * decay * 0.5F;
  const Masks is_negative = reinterpret_cast<Masks>(x) < 0;
  return {chosen(is_negative, tail, 1.0F - tail), decay * 0.39894228F};
}

template <typename T>
CK_INLINE void forward(const T *x, const float *bias, size_t channels, size_t begin, size_t end, T *y) {
  for (size_t row = begin; row < end; row++) {
    for (size_t c = 0; c < channels; c += width) {
      const size_t at = row * channels + c;
      const Floats value = load(x + at) + load(bias + c);
      store(y + at, value * normal(value).distribution);
    }
  }
}

template <typename T>
CK_INLINE void backward(const T *dy, const T *x, const float *bias, size_t channels, size_t begin,
                        size_t end, T *dx, double *sum) {
  for (size_t start = begin; start < end; start += block) {
    const size_t stop = std::min(end, start + block);
    for (size_t c = 0; c < channels; c += width) {
      const Floats b = load(bias + c);
      Floats s = {};
      for (size_t row = start; row < stop; row++) {
        const size_t at = row * channels + c;
        const Floats value = load(x + at) + b;
        const Normal law = normal(value);
        const Floats g = load(dy + at) * (law.distribution + value * law.density);
        store(dx + at, g);
        s += g;
      }
      for (size_t i = 0; i < width; i++) sum[c + i] += s[i];
    }
  }
}

CK_DISPATCH(run_forward, forward,
            (const T *x, const float *bias, size_t channels, size_t begin, size_t end, T *y),
            (x, bias, channels, begin, end, y))
CK_DISPATCH(run_backward, backward,
            (const T *dy, const T *x, const float *bias, size_t channels, size_t begin, size_t end, T *dx,
             double *sum),
            (dy, x, bias, channels, begin, end, dx, sum))

}  // namespace

extern "C" void ck_bias_gelu(ck_rows rows, const void *x, const float *bias, void *y) {
  by_type(rows.type, [&](auto element) {
    using T = decltype(element);
    parallel(rows.threads, [&](int32_t thread, int32_t threads) {
      const Share share(rows.rows, block, thread, threads);
      run_forward<T>(static_cast<const T *>(x), bias, rows.channels, share.begin, share.end,
                     static_cast<T *>(y));
    });
  });
}

extern "C" void ck_bias_gelu_gradient(ck_rows rows, const void *dy, const void *x, const float *bias,
                                      void *dx, float *bias_gradient) {
  by_type(rows.type, [&](auto element) {
    using T = decltype(element);
    std::vector<std::vector<double>> parts(rows.threads, std::vector<double>(rows.channels));
    parallel(rows.threads, [&](int32_t thread, int32_t threads) {
      const Share share(rows.rows, block, thread, threads);
      run_backward<T>(static_cast<const T *>(dy), static_cast<const T *>(x), bias, rows.channels,
                      share.begin, share.end, static_cast<T *>(dx), parts[thread].data());
    });
    for (size_t c = 0; c < rows.channels; c++) {
      double total = 0;
      for (const auto &part : parts) total += part[c];
      bias_gradient[c] = static_cast<float>(total);
    }
  });
}
