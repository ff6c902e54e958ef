// Sums of features by class, in one pass over them.
#include <vector>

#include "CKernels.h"
#include "Parallel.h"
#include "Vectors.h"

using namespace kernels;

namespace {

constexpr size_t lanes = 8;
typedef double Doubles __attribute__((vector_size(64)));
typedef float Narrow __attribute__((vector_size(32)));

CK_INLINE Doubles load_doubles(const double *source) {
  Doubles value;
  std::memcpy(&value, source, sizeof value);
  return value;
}

CK_INLINE Doubles load_doubles(const float *source) {
  Narrow value;
  std::memcpy(&value, source, sizeof value);
  return __builtin_convertvector(value, Doubles);
}

/// One thread's columns of all samples, so that no two threads write the same sum.
template <typename T>
CK_INLINE void class_sums(const T *x, const int64_t *labels, const double *pivots, size_t count,
                          size_t dimension, Share columns, double *sums, double *squares) {
  for (size_t sample = 0; sample < count; sample++) {
    const size_t label = static_cast<size_t>(labels[sample]);
    const T *row = x + sample * dimension;
    const double *pivot = pivots + label * dimension;
    double *sum = sums + label * dimension;
    Doubles square = {};
    size_t c = columns.begin;
    for (; c + lanes <= columns.end; c += lanes) {
      const Doubles difference = load_doubles(row + c) - load_doubles(pivot + c);
      const Doubles total = load_doubles(sum + c) + difference;
      std::memcpy(sum + c, &total, sizeof total);
      square += difference * difference;
    }
    double length = 0;
    for (size_t i = 0; i < lanes; i++) length += square[i];
    for (; c < columns.end; c++) {
      const double difference = static_cast<double>(row[c]) - pivot[c];
      sum[c] += difference;
      length += difference * difference;
    }
    squares[label] += length;
  }
}

CK_DISPATCH(class_sums_of, class_sums,
            (const T *x, const int64_t *labels, const double *pivots, size_t count, size_t dimension,
             Share columns, double *sums, double *squares),
            (x, labels, pivots, count, dimension, columns, sums, squares))

}  // namespace

void ck_class_sums(ck_samples samples, const void *x, const int64_t *labels, const double *pivots,
                   size_t classes, double *sums, double *squares) {
  std::vector<std::vector<double>> parts(static_cast<size_t>(samples.threads),
                                         std::vector<double>(classes));
  parallel(samples.threads, [&](int32_t thread, int32_t threads) {
    const Share columns(samples.dimension, lanes, thread, threads);
    double *part = parts[static_cast<size_t>(thread)].data();
    if (samples.is_double) {
      class_sums_of(static_cast<const double *>(x), labels, pivots, samples.count, samples.dimension, columns,
                    sums, part);
    } else {
      class_sums_of(static_cast<const float *>(x), labels, pivots, samples.count, samples.dimension, columns,
                    sums, part);
    }
  });
  for (const auto &part : parts) {
    for (size_t label = 0; label < classes; label++) squares[label] += part[label];
  }
}
