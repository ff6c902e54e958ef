// Layer normalisation with residual addition over rows, one of which is a warp's.

/// Where a warp stands in the rows: it takes `together` adjacent ones at a time.
struct WarpRows {
  long long first, step;

  __device__ __forceinline__ WarpRows(int together) {
    const int warps = int(blockDim.x) / 32;
    first = ((long long)(blockIdx.x) * warps + int(threadIdx.x) / 32) * together;
    step = (long long)(gridDim.x) * warps * together;
  }
};

__device__ __forceinline__ void add_deviations(const float (&values)[8], float mean, float &rest,
                                               float &squares) {
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const float deviation = values[i] - mean;
    rest += deviation;
    squares = fmaf(deviation, deviation, squares);
  }
}

/// Gives 1 / √(variance + ε) from the sums of deviations and of their squares, and takes from the mean the
/// rounding errors that the deviations tell of.
__device__ __forceinline__ float finish(float &mean, float rest, float squares, int width, float epsilon) {
  const float error = rest / float(width), variance = fmaf(-rest, error, squares) / float(width);
  mean += error;
  return 1 / sqrtf((variance < 0 ? 0 : variance) + epsilon);
}

/// The normalised values of eight columns.
template <typename T>
__device__ __forceinline__ void store_normalized(const float (&values)[8], float mean, float inverse,
                                                 const float (&weight)[8], const float (&bias)[8], T *y) {
  float normalized[8];
#pragma unroll
  for (int i = 0; i < 8; i++)
    normalized[i] = fmaf(__fmul_rn(values[i] - mean, inverse), weight[i], bias[i]);
  store_values(y, normalized);
}

/// Rows of up to `vectors` times 256 columns, which stay in registers as they lie in memory.
template <int vectors, int together, typename T>
__device__ __forceinline__ void layer_norm_narrow(const T *x, const T *addend, T *sum, const float *weight,
                                                  const float *bias, int rows, int width, float epsilon, T *y,
                                                  float *mean, float *inverse) {
  const int lane = int(threadIdx.x) % 32;
  const WarpRows own(together);
  for (long long row = own.first; row < rows; row += own.step) {
    const int count = rows_before<together>((long long)(rows), row, 1LL);
    float means[together] = {}, rests[together] = {}, squares[together] = {}, values[8];
    Eight<T> loaded[vectors][together], addends[vectors][together];
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      const int column = (v * 32 + lane) * 8;
      if (column >= width) continue;
      load_rows(x + row * width + column, width, count, loaded[v]);
      if (addend) load_rows(addend + row * width + column, width, count, addends[v]);
    }
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      const int column = (v * 32 + lane) * 8;
      if (column >= width) continue;
      if (addend) add_rows(loaded[v], addends[v], sum + row * width + column, width, count);
#pragma unroll
      for (int k = 0; k < together; k++) {
        unpack(loaded[v][k], values);
#pragma unroll
        for (int i = 0; i < 8; i++) means[k] += values[i];
      }
    }
#pragma unroll
    for (int k = 0; k < together; k++) means[k] = warp_sum(means[k]) / float(width);
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      if ((v * 32 + lane) * 8 >= width) continue;
#pragma unroll
      for (int k = 0; k < together; k++) {
        unpack(loaded[v][k], values);
        add_deviations(values, means[k], rests[k], squares[k]);
      }
    }
#pragma unroll
    for (int k = 0; k < together; k++) {
      squares[k] = finish(means[k], warp_sum(rests[k]), warp_sum(squares[k]), width, epsilon);
      if (lane == k && k < count) {
        mean[row + k] = means[k];
        inverse[row + k] = squares[k];
      }
    }
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      const int column = (v * 32 + lane) * 8;
      if (column >= width) continue;
      float slope[8], offset[8];
      load_values(weight + column, slope);
      load_values(bias + column, offset);
#pragma unroll
      for (int k = 0; k < together; k++)
        if (k < count) {
          unpack(loaded[v][k], values);
          store_normalized(values, means[k], squares[k], slope, offset, y + (row + k) * width + column);
        }
    }
  }
}

/// Rows of any width, which are read three times; a thread reads no sums but its own.
template <typename T>
__device__ __forceinline__ void layer_norm_wide(const T *x, const T *addend, T *sum, const float *weight,
                                                const float *bias, int rows, int width, float epsilon, T *y,
                                                float *mean, float *inverse) {
  const int lane = int(threadIdx.x) % 32;
  const WarpRows own(1);
  for (long long row = own.first; row < rows; row += own.step) {
    float average = 0, rest = 0, squares = 0;
    for (int column = lane * 8; column < width; column += 256) {
      Eight<T> loaded[1];
      float values[8];
      load_sums(x, addend, sum, row * width + column, 0, 1, loaded);
      unpack(loaded[0], values);
#pragma unroll
      for (int i = 0; i < 8; i++) average += values[i];
    }
    average = warp_sum(average) / float(width);
    const T *from = (addend ? sum : x) + row * width;
    for (int column = lane * 8; column < width; column += 256) {
      float values[8];
      load_values(from + column, values);
      add_deviations(values, average, rest, squares);
    }
    squares = finish(average, warp_sum(rest), warp_sum(squares), width, epsilon);
    if (!lane) {
      mean[row] = average;
      inverse[row] = squares;
    }
    for (int column = lane * 8; column < width; column += 256) {
      float values[8], slope[8], offset[8];
      load_values(from + column, values);
      load_values(weight + column, slope);
      load_values(bias + column, offset);
      store_normalized(values, average, squares, slope, offset, y + row * width + column);
    }
  }
}

/// dx of eight columns of a row, from the row's sums of weight · dy and of that times the standardised
/// values.
template <typename T>
__device__ __forceinline__ void store_gradient(const float (&gradient)[8], const float (&values)[8],
                                               const float (&more)[8], const float (&weight)[8], float mean,
                                               float inverse, float total, float product, float share,
                                               T *dx) {
  float result[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const float standard = (values[i] - mean) * inverse;
    const float centred = fmaf(-standard, product * share, fmaf(weight[i], gradient[i], -total * share));
    result[i] = fmaf(inverse, centred, more[i]);
  }
  store_values(dx, result);
}

/// The gradient of rows of up to `vectors` times 256 columns. A thread reads what it needs of a row before it
/// writes, so dx may be dy or skip.
template <int vectors, int together, typename T>
__device__ __forceinline__ void layer_norm_gradient_narrow(const T *dy, const T *skip, const T *x,
                                                           const float *mean, const float *inverse,
                                                           const float *weight, int rows, int width, T *dx,
                                                           float *partial) {
  // What doesn't fit into registers beside the sums is read twice.
  constexpr bool fits = vectors <= 2;
  const int lane = int(threadIdx.x) % 32;
  const float share = 1 / float(width);
  const WarpRows own(together);
  float sums[vectors][2][8] = {};
  for (long long row = own.first; row < rows; row += own.step) {
    const int count = rows_before<together>((long long)(rows), row, 1LL);
    Eight<T> gradients[vectors][together], values[vectors][together], skips[vectors][together];
    float means[together], inverses[together], totals[together] = {}, products[together] = {};
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      const int column = (v * 32 + lane) * 8;
      if (!fits || column >= width) continue;
      load_rows(dy + row * width + column, width, count, gradients[v]);
      load_rows(x + row * width + column, width, count, values[v]);
      if (skip) load_rows(skip + row * width + column, width, count, skips[v]);
    }
#pragma unroll
    for (int k = 0; k < together; k++) {
      means[k] = mean[k < count ? row + k : row];
      inverses[k] = inverse[k < count ? row + k : row];
    }
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      const int column = (v * 32 + lane) * 8;
      if (column >= width) continue;
      float slope[8];
      load_values(weight + column, slope);
      if (!fits) {
        load_rows(dy + row * width + column, width, count, gradients[v]);
        load_rows(x + row * width + column, width, count, values[v]);
      }
#pragma unroll
      for (int k = 0; k < together; k++)
        if (k < count) {
          float gradient[8], here[8];
          unpack(gradients[v][k], gradient);
          unpack(values[v][k], here);
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const float standard = (here[i] - means[k]) * inverses[k], weighted = slope[i] * gradient[i];
            totals[k] += weighted;
            products[k] = fmaf(weighted, standard, products[k]);
            sums[v][0][i] = fmaf(gradient[i], standard, sums[v][0][i]);
            sums[v][1][i] += gradient[i];
          }
        }
    }
#pragma unroll
    for (int k = 0; k < together; k++) {
      totals[k] = warp_sum(totals[k]);
      products[k] = warp_sum(products[k]);
    }
#pragma unroll
    for (int v = 0; v < vectors; v++) {
      const int column = (v * 32 + lane) * 8;
      if (column >= width) continue;
      float slope[8];
      load_values(weight + column, slope);
      if (!fits) {
        load_rows(dy + row * width + column, width, count, gradients[v]);
        load_rows(x + row * width + column, width, count, values[v]);
        if (skip) load_rows(skip + row * width + column, width, count, skips[v]);
      }
#pragma unroll
      for (int k = 0; k < together; k++)
        if (k < count) {
          float gradient[8], here[8], more[8] = {};
          unpack(gradients[v][k], gradient);
          unpack(values[v][k], here);
          if (skip) unpack(skips[v][k], more);
          store_gradient(gradient, here, more, slope, means[k], inverses[k], totals[k], products[k], share,
                         dx + (row + k) * width + column);
        }
    }
  }
#pragma unroll
  for (int v = 0; v < vectors; v++)
    store_column_sums(sums[v], 32, v * 256, width, partial + (long long)(blockIdx.x) * 2 * width);
}

/// The gradient of rows of any width: first the sums over the rows, as dx may take the place of dy.
template <typename T>
__device__ __forceinline__ void layer_norm_gradient_wide(const T *dy, const T *skip, const T *x,
                                                         const float *mean, const float *inverse,
                                                         const float *weight, int rows, int width, T *dx,
                                                         float *partial) {
  const int lane = int(threadIdx.x) % 32;
  const float share = 1 / float(width);
  const WarpRows own(1);
  for (int first = 0; first < width; first += 256) {
    float sums[2][8] = {};
    const int column = first + lane * 8;
    if (column < width)
#pragma unroll 2
      for (long long row = own.first; row < rows; row += own.step) {
        float gradient[8], values[8];
        load_values(dy + row * width + column, gradient);
        load_values(x + row * width + column, values);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          sums[0][i] = fmaf(gradient[i], (values[i] - mean[row]) * inverse[row], sums[0][i]);
          sums[1][i] += gradient[i];
        }
      }
    store_column_sums(sums, 32, first, width, partial + (long long)(blockIdx.x) * 2 * width);
  }
  for (long long row = own.first; row < rows; row += own.step) {
    float total = 0, product = 0;
    for (int column = lane * 8; column < width; column += 256) {
      float gradient[8], values[8], slope[8];
      load_values(dy + row * width + column, gradient);
      load_values(x + row * width + column, values);
      load_values(weight + column, slope);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        const float weighted = slope[i] * gradient[i];
        total += weighted;
        product = fmaf(weighted, (values[i] - mean[row]) * inverse[row], product);
      }
    }
    total = warp_sum(total);
    product = warp_sum(product);
    for (int column = lane * 8; column < width; column += 256) {
      const long long at = row * width + column;
      float gradient[8], values[8], more[8] = {}, slope[8];
      load_values(dy + at, gradient);
      load_values(x + at, values);
      if (skip) load_values(skip + at, more);
      load_values(weight + column, slope);
      store_gradient(gradient, values, more, slope, mean[row], inverse[row], total, product, share, dx + at);
    }
  }
}

#define LAYER_NORM_KERNELS(T, type)                                                                          \
  extern "C" __global__ void __launch_bounds__(256)                                                          \
      layer_norm_##type(const T *x, const T *addend, T *sum, const float *weight, const float *bias,         \
                        int rows, int width, float epsilon, T *y, float *mean, float *inverse) {             \
    if (width <= 256)                                                                                        \
      layer_norm_narrow<1, rows_at_once<T>>(x, addend, sum, weight, bias, rows, width, epsilon, y, mean,     \
                                           inverse);                                                         \
    else if (width <= 512)                                                                                   \
      layer_norm_narrow<2, rows_at_once<T> / 2>(x, addend, sum, weight, bias, rows, width, epsilon, y, mean, \
                                               inverse);                                                     \
    else if (width <= 1024)                                                                                  \
      layer_norm_narrow<4, 1>(x, addend, sum, weight, bias, rows, width, epsilon, y, mean, inverse);         \
    else                                                                                                     \
      layer_norm_wide(x, addend, sum, weight, bias, rows, width, epsilon, y, mean, inverse);                 \
  }                                                                                                          \
  extern "C" __global__ void __launch_bounds__(256, 2)                                                       \
      layer_norm_gradient_##type(const T *dy, const T *skip, const T *x, const float *mean,                  \
                                 const float *inverse, const float *weight, int rows, int width, T *dx,      \
                                 float *partial) {                                                           \
    if (width <= 256)                                                                                        \
      layer_norm_gradient_narrow<1, rows_at_once<T> / 2>(dy, skip, x, mean, inverse, weight, rows, width,    \
                                                         dx, partial);                                       \
    else if (width <= 512)                                                                                   \
      layer_norm_gradient_narrow<2, 1>(dy, skip, x, mean, inverse, weight, rows, width, dx, partial);        \
    else if (width <= 1024)                                                                                  \
      layer_norm_gradient_narrow<4, 1>(dy, skip, x, mean, inverse, weight, rows, width, dx, partial);        \
    else                                                                                                     \
      layer_norm_gradient_wide(dy, skip, x, mean, inverse, weight, rows, width, dx, partial);                \
  }

LAYER_NORM_KERNELS(float, f32)
LAYER_NORM_KERNELS(bf16, bf16)
