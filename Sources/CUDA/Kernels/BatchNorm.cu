// Batch normalisation with residual addition and ReLU over rows of channels: an image's pixels in
// channels-last order.

/// What comes before a ReLU, for eight channels. All kernels compute the same bits, so that the forward and
/// backward passes agree on which elements pass.
struct Normalization {
  float mean[8], scale[8], bias[8];

  __device__ __forceinline__ Normalization(const float *means, const float *inverses, const float *weights,
                                           const float *biases, int channel) {
    float inverse[8];
    load_values(means + channel, mean);
    load_values(inverses + channel, inverse);
    load_values(weights + channel, scale);
    load_values(biases + channel, bias);
#pragma unroll
    for (int i = 0; i < 8; i++) scale[i] = __fmul_rn(inverse[i], scale[i]);
  }

  __device__ __forceinline__ float operator()(float deviation, int i) const {
    return fmaf(deviation, scale[i], bias[i]);
  }
};

/// The rows of a slice and the channels of a thread, `lanes` threads side by side.
struct Slice {
  int channel;
  unsigned row, end, step;

  __device__ __forceinline__ Slice(int rows, int channels, int lanes) {
    const int lane = int(threadIdx.x) & (lanes - 1);
    channel = (int(blockIdx.x) * lanes + lane) * 8;
    step = blockDim.x / unsigned(lanes);
    row = unsigned(slice_start(int(blockIdx.y), int(gridDim.y), rows)) + threadIdx.x / unsigned(lanes);
    end = channel < channels ? unsigned(slice_start(int(blockIdx.y) + 1, int(gridDim.y), rows)) : 0;
  }
};

/// How `others` values join `number` values of which the mean and the sum of squared deviations from it are
/// known (Chan, Golub and LeVeque, 1983).
struct Union {
  float share, weight;

  __device__ __forceinline__ Union(float number, float others) {
    share = others > 0 ? others / (number + others) : 0;
    weight = number * share;
  }

  __device__ __forceinline__ void operator()(float &mean, float &squares, float others_mean,
                                             float others_squares) const {
    const float difference = others_mean - mean;
    mean = fmaf(difference, share, mean);
    squares += fmaf(difference * weight, difference, others_squares);
  }
};

/// Each slice's and channel's mean and sum of squared deviations from it.
template <typename T>
__device__ __forceinline__ void batch_statistics(const T *x, const T *addend, T *sum, int rows, int channels,
                                                 int lanes, float *partial) {
  constexpr int most = rows_at_once<T>;
  const Slice slice(rows, channels, lanes);
  // Deviations are taken from the thread's first value, which lies near the mean if the spread is small.
  float pivot[8], total[8] = {}, squares[8] = {};
  int number = 0;
  for (unsigned row = slice.row; row < slice.end; row += most * slice.step) {
    const int count = rows_before<most>(slice.end, row, slice.step);
    const long long at = (long long)(row)*channels + slice.channel, next = (long long)(slice.step) * channels;
    Eight<T> values[most];
    load_sums(x, addend, sum, at, next, count, values);
    if (!number) unpack(values[0], pivot);
#pragma unroll
    for (int k = 0; k < most; k++)
      if (k < count) {
        float here[8];
        unpack(values[k], here);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          const float deviation = here[i] - pivot[i];
          total[i] += deviation;
          squares[i] = fmaf(deviation, deviation, squares[i]);
        }
      }
    number += count;
  }
  float count = float(number), mean[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const float offset = number ? total[i] / count : 0, rest = fmaf(-total[i], offset, squares[i]);
    mean[i] = number ? pivot[i] + offset : 0;
    squares[i] = rest < 0 ? 0 : rest;
  }

  // First the rows of a warp, then the warps of the block.
  for (int bits = lanes; bits < 32; bits <<= 1) {
    const float others = __shfl_xor_sync(0xffffffff, count, bits);
    const Union join(count, others);
#pragma unroll
    for (int i = 0; i < 8; i++)
      join(mean[i], squares[i], __shfl_xor_sync(0xffffffff, mean[i], bits),
           __shfl_xor_sync(0xffffffff, squares[i], bits));
    count += others;
  }
  __shared__ float parts[8][2][8 * 36], counts[8][32];
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
  if (lane < lanes) {
    counts[warp][lane] = count;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      parts[warp][0][i * 36 + lane] = mean[i];
      parts[warp][1][i * 36 + lane] = squares[i];
    }
  }
  __syncthreads();
  const int first = int(blockIdx.x) * lanes * 8, here = min(lanes * 8, channels - first);
  for (int channel = int(threadIdx.x); channel < here; channel += int(blockDim.x)) {
    const int place = channel % 8 * 36 + channel / 8;
    float joined = 0, average = 0, deviations = 0;
    for (int w = 0; w < int(blockDim.x) / 32; w++) {
      const float others = counts[w][channel / 8];
      Union(joined, others)(average, deviations, parts[w][0][place], parts[w][1][place]);
      joined += others;
    }
    float *to = partial + (long long)(blockIdx.y) * 2 * channels + first + channel;
    to[0] = average;
    to[channels] = deviations;
  }
}

/// The moments of all rows from those of the slices: 32 channels a block, of which each has eight threads in
/// different warps. Doubles make the deviations from the first slice's mean as good as any.
extern "C" __global__ void __launch_bounds__(256)
    batch_moments(const float *partial, int slices, int rows, int channels, float epsilon, float momentum,
                  float *running_mean, float *running_variance, float *mean, float *inverse) {
  // Loads that are under way together.
  constexpr int most = 16;
  __shared__ double parts[8][3][32];
  const int lane = int(threadIdx.x) % 32, part = int(threadIdx.x) / 32, shares = int(blockDim.x) / 32;
  const int channel = int(blockIdx.x) * 32 + lane;
  const unsigned rest = unsigned(rows % slices);
  const int every = rows / slices;
  double total = 0, squares = 0, within = 0, pivot = 0;
  if (channel < channels) {
    pivot = partial[channel];
    for (int first = part; first < slices; first += most * shares) {
      float means[most], deviations[most];
#pragma unroll
      for (int k = 0; k < most; k++) {
        const long long slice = min(first + k * shares, slices - 1);
        const float *from = partial + slice * 2 * channels + channel;
        means[k] = from[0];
        deviations[k] = from[channels];
      }
#pragma unroll
      for (int k = 0; k < most; k++) {
        const int slice = first + k * shares;
        if (slice >= slices) break;
        // As many rows as lie between the starts of two slices; a slice's number fits into 16 bits.
        const int number = every + (unsigned(slice) * rest % slices + rest >= unsigned(slices));
        const double offset = means[k] - pivot;
        total += number * offset;
        squares += number * offset * offset;
        within += deviations[k];
      }
    }
  }
  parts[part][0][lane] = total;
  parts[part][1][lane] = squares;
  parts[part][2][lane] = within;
  __syncthreads();
  if (part || channel >= channels) return;
  for (int other = 1; other < shares; other++) {
    total += parts[other][0][lane];
    squares += parts[other][1][lane];
    within += parts[other][2][lane];
  }
  const double offset = total / rows, between = squares - total * offset;
  const double deviations = within + (between < 0 ? 0 : between);
  const float average = float(pivot + offset);
  mean[channel] = average;
  inverse[channel] = float(1 / sqrt(deviations / rows + epsilon));
  if (running_mean) {
    const float variance = float(deviations / max(1, rows - 1));
    running_mean[channel] += momentum * (average - running_mean[channel]);
    running_variance[channel] += momentum * (variance - running_variance[channel]);
  }
}

/// What normalises in evaluation.
extern "C" __global__ void __launch_bounds__(256)
    batch_running(const float *running_mean, const float *running_variance, int channels, float epsilon,
                  float *mean, float *inverse) {
  const int channel = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (channel >= channels) return;
  mean[channel] = running_mean[channel];
  inverse[channel] = 1 / sqrtf(running_variance[channel] + epsilon);
}

/// The activations of x, or of x + addend.
template <typename T>
__device__ __forceinline__ void batch_rectify(const T *x, const T *addend, T *sum, const float *mean,
                                              const float *inverse, const float *weight, const float *bias,
                                              int rows, int channels, T *y) {
  constexpr int most = rows_at_once<T>;
  const Walk walk(channels / 8);
  for (int vector = walk.vector; vector < channels / 8; vector += walk.span) {
    const Normalization normalization(mean, inverse, weight, bias, vector * 8);
    for (long long row = walk.row; row < rows; row += most * walk.step) {
      const int count = rows_before<most>((long long)(rows), row, walk.step);
      const long long at = row * channels + vector * 8, next = walk.step * channels;
      Eight<T> values[most];
      load_sums(x, addend, sum, at, next, count, values);
#pragma unroll
      for (int k = 0; k < most; k++)
        if (k < count) {
          float here[8];
          unpack(values[k], here);
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const float activation = normalization(here[i] - normalization.mean[i], i);
            here[i] = activation <= 0 ? 0 : activation;
          }
          store_values(y + at + k * next, here);
        }
    }
  }
}

/// Each slice's and channel's sums of the gradient that passes the ReLU, times the standardised values and
/// alone.
template <typename T>
__device__ __forceinline__ void batch_gradient_sums(const T *dy, const T *x, const float *mean,
                                                    const float *inverse, const float *weight,
                                                    const float *bias, int rows, int channels, int lanes,
                                                    float *partial) {
  constexpr int most = rows_at_once<T>;
  const Slice slice(rows, channels, lanes);
  float sums[2][8] = {};
  if (slice.row < slice.end) {
    const Normalization normalization(mean, inverse, weight, bias, slice.channel);
    for (unsigned row = slice.row; row < slice.end; row += most * slice.step) {
      const int count = rows_before<most>(slice.end, row, slice.step);
      const long long at = (long long)(row)*channels + slice.channel;
      const long long next = (long long)(slice.step) * channels;
      Eight<T> gradients[most], values[most];
      load_rows(dy + at, next, count, gradients);
      load_rows(x + at, next, count, values);
#pragma unroll
      for (int k = 0; k < most; k++)
        if (k < count) {
          float gradient[8], here[8];
          unpack(gradients[k], gradient);
          unpack(values[k], here);
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const float deviation = here[i] - normalization.mean[i];
            const float passing = normalization(deviation, i) > 0 ? gradient[i] : 0;
            sums[0][i] = fmaf(passing, deviation, sums[0][i]);
            sums[1][i] += passing;
          }
        }
    }
    float scale[8];
    load_values(inverse + slice.channel, scale);
#pragma unroll
    for (int i = 0; i < 8; i++) sums[0][i] *= scale[i];
  }
  store_column_sums(sums, lanes, int(blockIdx.x) * lanes * 8, channels,
                    partial + (long long)(blockIdx.y) * 2 * channels);
}

/// The gradient for x, plus the skip connection's.
template <typename T>
__device__ __forceinline__ void batch_gradient(const T *dy, const T *x, const T *skip, const float *mean,
                                               const float *inverse, const float *weight, const float *bias,
                                               const float *totals, int rows, int channels, T *dx) {
  constexpr int most = rows_at_once<T> / 2;
  const Walk walk(channels / 8);
  for (int vector = walk.vector; vector < channels / 8; vector += walk.span) {
    const Normalization normalization(mean, inverse, weight, bias, vector * 8);
    float slope[8], offset[8], factor[8];
    load_values(totals + vector * 8, slope);
    load_values(totals + channels + vector * 8, offset);
    load_values(inverse + vector * 8, factor);
    const float share = 1 / float(rows);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      slope[i] *= share * factor[i];
      offset[i] *= share;
    }
    for (long long row = walk.row; row < rows; row += most * walk.step) {
      const int count = rows_before<most>((long long)(rows), row, walk.step);
      const long long at = row * channels + vector * 8, next = walk.step * channels;
      Eight<T> gradients[most], values[most], skips[most];
      load_rows(dy + at, next, count, gradients);
      load_rows(x + at, next, count, values);
      if (skip) load_rows(skip + at, next, count, skips);
#pragma unroll
      for (int k = 0; k < most; k++)
        if (k < count) {
          float gradient[8], here[8], more[8] = {};
          unpack(gradients[k], gradient);
          unpack(values[k], here);
          if (skip) unpack(skips[k], more);
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const float deviation = here[i] - normalization.mean[i];
            const float passing = normalization(deviation, i) > 0 ? gradient[i] : 0;
            const float centred = fmaf(-deviation, slope[i], passing - offset[i]);
            here[i] = fmaf(normalization.scale[i], centred, more[i]);
          }
          store_values(dx + at + k * next, here);
        }
    }
  }
}

#define BATCH_NORM_KERNELS(T, type)                                                                         \
  extern "C" __global__ void __launch_bounds__(256)                                                         \
      batch_statistics_##type(const T *x, const T *addend, T *sum, int rows, int channels, int lanes,       \
                              float *partial) {                                                             \
    batch_statistics(x, addend, sum, rows, channels, lanes, partial);                                       \
  }                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256)                                                         \
      batch_rectify_##type(const T *x, const T *addend, T *sum, const float *mean, const float *inverse,    \
                           const float *weight, const float *bias, int rows, int channels, T *y) {          \
    batch_rectify(x, addend, sum, mean, inverse, weight, bias, rows, channels, y);                          \
  }                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256)                                                         \
      batch_gradient_sums_##type(const T *dy, const T *x, const float *mean, const float *inverse,          \
                                 const float *weight, const float *bias, int rows, int channels, int lanes, \
                                 float *partial) {                                                          \
    batch_gradient_sums(dy, x, mean, inverse, weight, bias, rows, channels, lanes, partial);                \
  }                                                                                                         \
  extern "C" __global__ void __launch_bounds__(256)                                                         \
      batch_gradient_##type(const T *dy, const T *x, const T *skip, const float *mean, const float *inverse,\
                            const float *weight, const float *bias, const float *totals, int rows,          \
                            int channels, T *dx) {                                                          \
    batch_gradient(dy, x, skip, mean, inverse, weight, bias, totals, rows, channels, dx);                   \
  }

BATCH_NORM_KERNELS(float, f32)
BATCH_NORM_KERNELS(bf16, bf16)
