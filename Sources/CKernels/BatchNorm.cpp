// Batch normalisation with ReLU and residual addition, over rows of channels.
#include <algorithm>
#include <vector>

#include "Parallel.h"
#include "Vectors.h"
#include "CKernels.h"

using namespace kernels;

const size_t ck_channel_unit = width;

namespace {

/// Two sums a channel, of one thread.
struct Sums {
  std::vector<double> first, second;
  explicit Sums(size_t channels) : first(channels), second(channels) {}
};

/// Adds up what the threads have found, in their order.
void total(const std::vector<Sums> &parts, size_t channel, double &first, double &second) {
  first = second = 0;
  for (const auto &part : parts) {
    first += part.first[channel];
    second += part.second[channel];
  }
}

/// x at a place, or x + addend there, which is written to sum and given as it was rounded.
template <typename T>
CK_INLINE Floats summed(const T *x, const T *addend, T *sum, size_t at) {
  if (!addend) return load(x + at);
  const Floats value = load(x + at) + load(addend + at);
  store(sum + at, value);
  return sizeof(T) == sizeof(float) ? value : load(sum + at);
}

// Sums of x − pivot and of its square: the pivot keeps the difference of the two from cancelling.
template <typename T>
CK_INLINE void statistics(const T *x, const T *addend, T *sum, size_t channels, size_t begin, size_t end,
                          const float *pivot, double *first, double *second) {
  for (size_t start = begin; start < end; start += block) {
    const size_t stop = std::min(end, start + block);
    for (size_t c = 0; c < channels; c += width) {
      const Floats p = load(pivot + c);
      Floats s = {}, q = {};
      for (size_t row = start; row < stop; row++) {
        const Floats difference = summed(x, addend, sum, row * channels + c) - p;
        s += difference;
        q += difference * difference;
      }
      for (size_t i = 0; i < width; i++) {
        first[c + i] += s[i];
        second[c + i] += q[i];
      }
    }
  }
}

template <typename T>
CK_INLINE void scale_shift(const T *x, const T *addend, T *sum, size_t channels, size_t begin, size_t end,
                           const float *mean, const float *scale, const float *shift, T *y) {
  for (size_t row = begin; row < end; row++) {
    for (size_t c = 0; c < channels; c += width) {
      const size_t at = row * channels + c;
      const Floats value = summed(x, addend, sum, at) - load(mean + c);
      store(y + at, rectified(value * load(scale + c) + load(shift + c)));
    }
  }
}

template <typename T>
CK_INLINE void gradient_sums(const T *dy, const T *x, size_t channels, size_t begin, size_t end,
                             const float *mean, const float *scale, const float *shift,
                             double *first, double *second) {
  for (size_t start = begin; start < end; start += block) {
    const size_t stop = std::min(end, start + block);
    for (size_t c = 0; c < channels; c += width) {
      const Floats m = load(mean + c), a = load(scale + c), b = load(shift + c);
      Floats s = {}, q = {};
      for (size_t row = start; row < stop; row++) {
        const size_t at = row * channels + c;
        const Floats value = load(x + at) - m;
        const Floats g = where_positive(value * a + b, load(dy + at));
        s += g;
        q += g * value;
      }
      for (size_t i = 0; i < width; i++) {
        first[c + i] += s[i];
        second[c + i] += q[i];
      }
    }
  }
}

template <typename T>
CK_INLINE void gradient(const T *dy, const T *x, const T *skip, size_t channels, size_t begin, size_t end,
                        const float *mean, const float *scale, const float *shift, const float *slope,
                        const float *offset, T *dx) {
  for (size_t row = begin; row < end; row++) {
    for (size_t c = 0; c < channels; c += width) {
      const size_t at = row * channels + c;
      const Floats a = load(scale + c);
      const Floats value = load(x + at) - load(mean + c);
      const Floats g = where_positive(value * a + load(shift + c), load(dy + at));
      Floats result = a * g + (load(slope + c) * value + load(offset + c));
      if (skip) result += load(skip + at);
      store(dx + at, result);
    }
  }
}

CK_DISPATCH(run_statistics, statistics,
            (const T *x, const T *addend, T *sum, size_t channels, size_t begin, size_t end,
             const float *pivot, double *first, double *second),
            (x, addend, sum, channels, begin, end, pivot, first, second))
CK_DISPATCH(run_scale_shift, scale_shift,
            (const T *x, const T *addend, T *sum, size_t channels, size_t begin, size_t end,
             const float *mean, const float *scale, const float *shift, T *y),
            (x, addend, sum, channels, begin, end, mean, scale, shift, y))
CK_DISPATCH(run_gradient_sums, gradient_sums,
            (const T *dy, const T *x, size_t channels, size_t begin, size_t end, const float *mean,
             const float *scale, const float *shift, double *first, double *second),
            (dy, x, channels, begin, end, mean, scale, shift, first, second))
CK_DISPATCH(run_gradient, gradient,
            (const T *dy, const T *x, const T *skip, size_t channels, size_t begin, size_t end,
             const float *mean, const float *scale, const float *shift, const float *slope,
             const float *offset, T *dx),
            (dy, x, skip, channels, begin, end, mean, scale, shift, slope, offset, dx))

}  // namespace

extern "C" void ck_channel_statistics(ck_rows rows, const void *x, const void *addend, void *sum,
                                      float *mean, float *variance) {
  by_type(rows.type, [&](auto element) {
    using T = decltype(element);
    const auto *values = static_cast<const T *>(x);
    const auto *others = static_cast<const T *>(addend);
    std::vector<float> pivot(rows.channels);
    for (size_t c = 0; rows.rows > 0 && c < rows.channels; c += width) {
      Floats first = load(values + c);
      if (others) first += load(others + c);
      store(pivot.data() + c, first);
    }
    std::vector<Sums> parts(rows.threads, Sums(rows.channels));
    parallel(rows.threads, [&](int32_t thread, int32_t threads) {
      const Share share(rows.rows, block, thread, threads);
      run_statistics<T>(values, others, static_cast<T *>(sum), rows.channels, share.begin, share.end,
                        pivot.data(), parts[thread].first.data(), parts[thread].second.data());
    });
    const auto count = static_cast<double>(rows.rows);
    for (size_t c = 0; c < rows.channels; c++) {
      double first, second;
      total(parts, c, first, second);
      const double offset = first / count;
      mean[c] = static_cast<float>(pivot[c] + offset);
      const double spread = second / count - offset * offset;
      variance[c] = static_cast<float>(spread < 0 ? 0 : spread);  // what is not a number stays so
    }
  });
}

extern "C" void ck_scale_shift(ck_rows rows, const void *x, const void *addend, void *sum,
                               const float *mean, const float *scale, const float *shift, void *y) {
  by_type(rows.type, [&](auto element) {
    using T = decltype(element);
    parallel(rows.threads, [&](int32_t thread, int32_t threads) {
      const Share share(rows.rows, block, thread, threads);
      run_scale_shift<T>(static_cast<const T *>(x), static_cast<const T *>(addend), static_cast<T *>(sum),
                         rows.channels, share.begin, share.end, mean, scale, shift, static_cast<T *>(y));
    });
  });
}

extern "C" void ck_norm_gradient_sums(ck_rows rows, const void *dy, const void *x, const float *mean,
                                      const float *scale, const float *shift, float *sum,
                                      float *sum_product) {
  by_type(rows.type, [&](auto element) {
    using T = decltype(element);
    std::vector<Sums> parts(rows.threads, Sums(rows.channels));
    parallel(rows.threads, [&](int32_t thread, int32_t threads) {
      const Share share(rows.rows, block, thread, threads);
      run_gradient_sums<T>(static_cast<const T *>(dy), static_cast<const T *>(x), rows.channels,
                           share.begin, share.end, mean, scale, shift, parts[thread].first.data(),
                           parts[thread].second.data());
    });
    for (size_t c = 0; c < rows.channels; c++) {
      double first, second;
      total(parts, c, first, second);
      sum[c] = static_cast<float>(first);
      sum_product[c] = static_cast<float>(second);
    }
  });
}

extern "C" void ck_norm_gradient(ck_rows rows, const void *dy, const void *x, const void *skip,
                                 const float *mean, const float *scale, const float *shift,
                                 const float *slope, const float *offset, void *dx) {
  by_type(rows.type, [&](auto element) {
    using T = decltype(element);
    parallel(rows.threads, [&](int32_t thread, int32_t threads) {
      const Share share(rows.rows, block, thread, threads);
      run_gradient<T>(static_cast<const T *>(dy), static_cast<const T *>(x), static_cast<const T *>(skip),
                      rows.channels, share.begin, share.end, mean, scale, shift, slope, offset,
                      static_cast<T *>(dx));
    });
  });
}
