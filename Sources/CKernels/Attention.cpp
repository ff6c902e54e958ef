// Self-attention of few tokens: each head of each image in the cache of one core, without writing the
// matrix of scores. The backward pass computes it again (Dao et al., FlashAttention, NeurIPS 2022).
#include <algorithm>
#include <cmath>
#include <vector>

#include "CKernels.h"
#include "Math.h"
#include "Parallel.h"
#include "Vectors.h"

using namespace kernels;

namespace {

// Two rows by two vectors fit into AVX2's registers.
constexpr size_t rows_of_tile = 2;

/// A matrix of floats, element (row, column) at row · next_row + column · next_column.
struct Matrix {
  const float *elements;
  size_t next_row, next_column;
};

/// R rows and W vectors of columns of c = a b; columns of b are adjacent.
template <size_t R, size_t W>
CK_INLINE void multiply_tile(Matrix a, const float *b, size_t next, size_t inner, float *c, size_t next_c) {
  Floats sums[R][W] = {};
  for (size_t k = 0; k < inner; k++) {
    Floats right[W];
#pragma clang loop unroll(full)
    for (size_t w = 0; w < W; w++) right[w] = load(b + k * next + w * width);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < R; r++) {
      const float left = a.elements[r * a.next_row + k * a.next_column];
#pragma clang loop unroll(full)
      for (size_t w = 0; w < W; w++) sums[r][w] += left * right[w];
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < R; r++) {
#pragma clang loop unroll(full)
    for (size_t w = 0; w < W; w++) store(c + r * next_c + w * width, sums[r][w]);
  }
}

/// c = a b, of rows × columns, columns a multiple of 16.
CK_INLINE void multiply(Matrix a, const float *b, size_t next, size_t rows, size_t inner, size_t columns,
                        float *c, size_t next_c) {
  for (size_t column = 0; column < columns;) {
    const bool is_pair = column + 2 * width <= columns;
    size_t row = 0;
    for (; row + rows_of_tile <= rows; row += rows_of_tile) {
      const Matrix part{a.elements + row * a.next_row, a.next_row, a.next_column};
      if (is_pair) {
        multiply_tile<rows_of_tile, 2>(part, b + column, next, inner, c + row * next_c + column, next_c);
      } else {
        multiply_tile<rows_of_tile, 1>(part, b + column, next, inner, c + row * next_c + column, next_c);
      }
    }
    for (; row < rows; row++) {
      const Matrix part{a.elements + row * a.next_row, a.next_row, a.next_column};
      if (is_pair) {
        multiply_tile<1, 2>(part, b + column, next, inner, c + row * next_c + column, next_c);
      } else {
        multiply_tile<1, 1>(part, b + column, next, inner, c + row * next_c + column, next_c);
      }
    }
    column += is_pair ? 2 * width : width;
  }
}

/// What one thread works in.
struct Scratch {
  size_t tokens, size, padded;
  std::vector<float> query, key, value, given, key_columns, value_columns, scores, slopes, result;

  Scratch(const ck_attention &shape, bool is_backward)
      : tokens(shape.tokens), size(shape.size), padded((tokens + width - 1) / width * width),
        query(tokens * size), key(tokens * size), value(tokens * size),
        given(is_backward ? tokens * size : 0), key_columns(padded * size),
        value_columns(is_backward ? padded * size : 0), scores(tokens * padded),
        slopes(is_backward ? tokens * padded : 0), result(tokens * size) {}
};

/// Rows of one head to floats.
template <typename T>
CK_INLINE void gather(const T *from, size_t next, size_t tokens, size_t size, float *to) {
  for (size_t token = 0; token < tokens; token++) {
    for (size_t i = 0; i < size; i += width) store(to + token * size + i, load(from + token * next + i));
  }
}

template <typename T>
CK_INLINE void scatter(const float *from, size_t next, size_t tokens, size_t size, float factor, T *to) {
  for (size_t token = 0; token < tokens; token++) {
    for (size_t i = 0; i < size; i += width) {
      store(to + token * next + i, load(from + token * size + i) * factor);
    }
  }
}

/// size × padded from tokens × size; what is padded is zero.
CK_INLINE void transpose(const float *from, size_t tokens, size_t size, size_t padded, float *to) {
  for (size_t i = 0; i < size; i++) {
    for (size_t token = 0; token < tokens; token++) to[i * padded + token] = from[token * size + i];
  }
}

/// Queries, keys and values of one head, and the scores q kᵀ.
template <typename T>
CK_INLINE void score(const T *rows, size_t dimension, Scratch &s) {
  const size_t next = 3 * dimension;
  gather(rows, next, s.tokens, s.size, s.query.data());
  gather(rows + dimension, next, s.tokens, s.size, s.key.data());
  gather(rows + 2 * dimension, next, s.tokens, s.size, s.value.data());
  transpose(s.key.data(), s.tokens, s.size, s.padded, s.key_columns.data());
  multiply({s.query.data(), s.size, 1}, s.key_columns.data(), s.padded, s.tokens, s.size, s.padded,
              s.scores.data(), s.padded);
}

/// Scores to weights, row by row; gives the logarithm of each row's sum of exponentials.
CK_INLINE void softmax(Scratch &s, float scale, float *logs) {
  for (size_t token = 0; token < s.tokens; token++) {
    float *row = s.scores.data() + token * s.padded;
    for (size_t i = s.tokens; i < s.padded; i++) row[i] = -1e30F;
    Floats largest = Floats{} - 1e30F;
    for (size_t i = 0; i < s.padded; i += width) {
      const Floats value = i + width <= s.tokens ? load(row + i) * scale : load(row + i);
      store(row + i, value);
    }
    // The last vector holds tokens and padding.
    if (s.tokens % width != 0) {
      for (size_t i = s.tokens / width * width; i < s.tokens; i++) row[i] *= scale;
    }
    for (size_t i = 0; i < s.padded; i += width) largest = maximum(largest, load(row + i));
    float top = largest[0];
    for (size_t i = 1; i < width; i++) top = std::max(top, largest[i]);
    Floats sums = {};
    for (size_t i = 0; i < s.padded; i += width) {
      const Floats value = exponential(maximum(load(row + i) - top, Floats{} - 87.0F));
      store(row + i, value);
      sums += value;
    }
    float sum = 0;
    for (size_t i = 0; i < width; i++) sum += sums[i];
    const float factor = 1 / sum;
    for (size_t i = 0; i < s.padded; i += width) store(row + i, load(row + i) * factor);
    logs[token] = top + std::log(sum);
  }
}

template <typename T>
CK_INLINE void forward(const ck_attention &a, const T *qkv, Scratch &s, size_t begin, size_t end, T *output,
                       float *logs) {
  const size_t dimension = a.heads * a.size, next = 3 * dimension;
  const float scale = 1 / std::sqrt(static_cast<float>(a.size));
  for (size_t index = begin; index < end; index++) {
    const size_t image = index / a.heads, offset = index % a.heads * a.size;
    score(qkv + image * a.tokens * next + offset, dimension, s);
    softmax(s, scale, logs + index * a.tokens);
    multiply({s.scores.data(), s.padded, 1}, s.value.data(), s.size, s.tokens, s.tokens, s.size,
                s.result.data(), s.size);
    scatter(s.result.data(), dimension, s.tokens, s.size, 1.0F, output + image * a.tokens * dimension + offset);
  }
}

template <typename T>
CK_INLINE void backward(const ck_attention &a, const T *qkv, const T *output, const T *gradient,
                        const float *logs, Scratch &s, size_t begin, size_t end, T *result) {
  const size_t dimension = a.heads * a.size, next = 3 * dimension;
  const float scale = 1 / std::sqrt(static_cast<float>(a.size));
  for (size_t index = begin; index < end; index++) {
    const size_t image = index / a.heads, offset = index % a.heads * a.size;
    score(qkv + image * a.tokens * next + offset, dimension, s);
    const size_t at = image * a.tokens * dimension + offset;
    gather(gradient + at, dimension, s.tokens, s.size, s.given.data());
    gather(output + at, dimension, s.tokens, s.size, s.result.data());
    transpose(s.value.data(), s.tokens, s.size, s.padded, s.value_columns.data());
    multiply({s.given.data(), s.size, 1}, s.value_columns.data(), s.padded, s.tokens, s.size, s.padded,
                s.slopes.data(), s.padded);
    // Weights P, and the gradient of the scores: P (dP − the mean of dP under P).
    for (size_t token = 0; token < s.tokens; token++) {
      Floats products = {};
      for (size_t i = 0; i < s.size; i += width) {
        products += load(s.given.data() + token * s.size + i) * load(s.result.data() + token * s.size + i);
      }
      float mean = 0;
      for (size_t i = 0; i < width; i++) mean += products[i];
      float *weights = s.scores.data() + token * s.padded, *slopes = s.slopes.data() + token * s.padded;
      const float log = logs[index * a.tokens + token];
      for (size_t i = 0; i < s.padded; i += width) {
        const Floats rest = maximum(load(weights + i) * scale - log, Floats{} - 87.0F);
        const Floats weight = exponential(minimum(rest, Floats{} + 87.0F));
        store(weights + i, weight);
        store(slopes + i, weight * (load(slopes + i) - mean));
      }
    }
    T *to = result + image * a.tokens * next + offset;
    multiply({s.slopes.data(), s.padded, 1}, s.key.data(), s.size, s.tokens, s.tokens, s.size,
                s.result.data(), s.size);
    scatter(s.result.data(), next, s.tokens, s.size, scale, to);
    multiply({s.slopes.data(), 1, s.padded}, s.query.data(), s.size, s.tokens, s.tokens, s.size,
                s.result.data(), s.size);
    scatter(s.result.data(), next, s.tokens, s.size, scale, to + dimension);
    multiply({s.scores.data(), 1, s.padded}, s.given.data(), s.size, s.tokens, s.tokens, s.size,
                s.result.data(), s.size);
    scatter(s.result.data(), next, s.tokens, s.size, 1.0F, to + 2 * dimension);
  }
}

CK_DISPATCH(run_forward, forward,
            (const ck_attention &a, const T *qkv, Scratch &s, size_t begin, size_t end, T *output, float *logs),
            (a, qkv, s, begin, end, output, logs))
CK_DISPATCH(run_backward, backward,
            (const ck_attention &a, const T *qkv, const T *output, const T *gradient, const float *logs,
             Scratch &s, size_t begin, size_t end, T *result),
            (a, qkv, output, gradient, logs, s, begin, end, result))

}  // namespace

extern "C" void ck_attention_forward(ck_attention shape, const void *qkv, void *output, float *logs) {
  by_type(shape.type, [&](auto element) {
    using T = decltype(element);
    parallel(shape.threads, [&](int32_t thread, int32_t threads) {
      Scratch scratch(shape, false);
      const Share share(shape.images * shape.heads, 1, thread, threads);
      run_forward<T>(shape, static_cast<const T *>(qkv), scratch, share.begin, share.end,
                     static_cast<T *>(output), logs);
    });
  });
}

extern "C" void ck_attention_backward(ck_attention shape, const void *qkv, const void *output,
                                      const void *gradient, const float *logs, void *result) {
  by_type(shape.type, [&](auto element) {
    using T = decltype(element);
    parallel(shape.threads, [&](int32_t thread, int32_t threads) {
      Scratch scratch(shape, true);
      const Share share(shape.images * shape.heads, 1, thread, threads);
      run_backward<T>(shape, static_cast<const T *>(qkv), static_cast<const T *>(output),
                      static_cast<const T *>(gradient), logs, scratch, share.begin, share.end,
                      static_cast<T *>(result));
    });
  });
}
