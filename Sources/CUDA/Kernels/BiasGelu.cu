// The Gaussian error linear unit v·Φ(v) of rows plus a bias, Φ being the normal distribution function.

/// Rows that a thread has under way at once; the many instructions of a value hide the rest.
constexpr int gelu_rows = 2;

template <typename T>
__device__ __forceinline__ void bias_gelu(const T *x, const float *bias, int rows, int width, T *y) {
  const int vectors = width / 8;
  const Walk walk(vectors);
  for (int vector = walk.vector; vector < vectors; vector += walk.span) {
    float shift[8];
    load_values(bias + vector * 8, shift);
    for (long long first = walk.row; first < rows; first += gelu_rows * walk.step) {
      Eight<T> loaded[gelu_rows] = {};
#pragma unroll
      for (int k = 0; k < gelu_rows; k++) {
        const long long row = first + k * walk.step;
        if (row < rows) loaded[k] = load_eight(x + row * width + vector * 8);
      }
#pragma unroll
      for (int k = 0; k < gelu_rows; k++) {
        const long long row = first + k * walk.step;
        if (row >= rows) continue;
        float values[8];
        unpack(loaded[k], values);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          const float value = values[i] + shift[i], half = 0.5F * value;
          values[i] = fmaf(half, erff(value * 0.70710678F), half);
        }
        store_values(y + row * width + vector * 8, values);
      }
    }
  }
}

/// d(v·Φ(v))/dv = Φ(v) + v·φ(v).
__device__ __forceinline__ float gelu_slope(float value) {
  const float distribution = fmaf(0.5F, erff(value * 0.70710678F), 0.5F);
  const float density = 0.39894228F * expf(-0.5F * value * value);
  return fmaf(value, density, distribution);
}

template <typename T>
__device__ __forceinline__ void bias_gelu_gradient(const T *dy, const T *x, const float *bias, int rows,
                                                   int width, int lanes, T *dx, float *partial) {
  const int lane = int(threadIdx.x) % lanes, step = int(blockDim.x) / lanes;
  // No lane beyond the last vector has anything to do, but all threads meet in the sums.
  const long long vector = (long long)(blockIdx.x) * lanes + lane;
  const long long end = vector < width / 8 ? slice_start(int(blockIdx.y) + 1, int(gridDim.y), rows) : 0;
  const long long begin = slice_start(int(blockIdx.y), int(gridDim.y), rows) + int(threadIdx.x) / lanes;
  float sums[1][8] = {}, shift[8] = {};
  if (begin < end) load_values(bias + vector * 8, shift);
  for (long long first = begin; first < end; first += gelu_rows * step) {
    // dx may be dy: all loads of a turn come before its stores, and every vector has one thread.
    Eight<T> inputs[gelu_rows] = {}, gradients[gelu_rows] = {};
#pragma unroll
    for (int k = 0; k < gelu_rows; k++) {
      const long long row = first + k * step;
      if (row >= end) continue;
      inputs[k] = load_eight(x + row * width + vector * 8);
      gradients[k] = load_eight(dy + row * width + vector * 8);
    }
#pragma unroll
    for (int k = 0; k < gelu_rows; k++) {
      const long long row = first + k * step;
      if (row >= end) continue;
      float values[8], gradient[8];
      unpack(inputs[k], values);
      unpack(gradients[k], gradient);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        gradient[i] *= gelu_slope(values[i] + shift[i]);
        sums[0][i] += gradient[i];
      }
      store_values(dx + row * width + vector * 8, gradient);
    }
  }
  store_column_sums(sums, lanes, int(blockIdx.x) * lanes * 8, width,
                    partial + (long long)(blockIdx.y) * width);
}

extern "C" __global__ void __launch_bounds__(256)
    bias_gelu_f32(const float *x, const float *bias, int rows, int width, float *y) {
  bias_gelu(x, bias, rows, width, y);
}

extern "C" __global__ void __launch_bounds__(256)
    bias_gelu_bf16(const bf16 *x, const float *bias, int rows, int width, bf16 *y) {
  bias_gelu(x, bias, rows, width, y);
}

extern "C" __global__ void __launch_bounds__(256)
    bias_gelu_gradient_f32(const float *dy, const float *x, const float *bias, int rows, int width, int lanes,
                           float *dx, float *partial) {
  bias_gelu_gradient(dy, x, bias, rows, width, lanes, dx, partial);
}

extern "C" __global__ void __launch_bounds__(256)
    bias_gelu_gradient_bf16(const bf16 *dy, const bf16 *x, const float *bias, int rows, int width, int lanes,
                            bf16 *dx, float *partial) {
  bias_gelu_gradient(dy, x, bias, rows, width, lanes, dx, partial);
}
