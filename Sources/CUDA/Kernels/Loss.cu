// Losses of rows of logits and the gradients of their mean. A warp takes a row at a time.

__device__ __forceinline__ float loss_warp_max(float value) {
#pragma unroll
  for (int bits = 16; bits; bits >>= 1) value = fmaxf(value, __shfl_xor_sync(0xffffffff, value, bits));
  return value;
}

extern "C" __global__ void __launch_bounds__(256)
    cross_entropy(const float *logits, const float *targets, int rows, int classes, float *losses,
                  float *gradients) {
  const int lane = int(threadIdx.x) % 32, warps = int(blockDim.x) / 32;
  const float share = 1 / float(rows);
  for (long long row = (long long)(blockIdx.x) * warps + int(threadIdx.x) / 32; row < rows;
       row += (long long)(gridDim.x) * warps) {
    const float *z = logits + row * classes, *y = targets + row * classes;
    float most = __uint_as_float(0xff800000);  // −∞
    for (int c = lane; c < classes; c += 32) most = fmaxf(most, z[c]);
    // NaN is no maximum, but it comes back in the sum.
    most = loss_warp_max(most);
    float sum = 0, weight = 0;
    for (int c = lane; c < classes; c += 32) {
      sum += expf(z[c] - most);
      weight += y[c];
    }
    sum = warp_sum(sum);
    weight = warp_sum(weight);
    const float logarithm = logf(sum), portion = weight / sum;
    float loss = 0;
    for (int c = lane; c < classes; c += 32) {
      const float target = y[c], above = z[c] - most;
      // Term by term, since the difference of two sums would lose what large logits have in common.
      loss = fmaf(target, logarithm - above, loss);
      gradients[row * classes + c] = (expf(above) * portion - target) * share;
    }
    loss = warp_sum(loss);
    if (lane == 0) losses[row] = loss;
  }
}

extern "C" __global__ void __launch_bounds__(256)
    squared_error(const float *logits, const float *targets, int rows, int classes, float *losses,
                  float *gradients) {
  const int lane = int(threadIdx.x) % 32, warps = int(blockDim.x) / 32;
  const float share = 2 / float(rows);
  for (long long row = (long long)(blockIdx.x) * warps + int(threadIdx.x) / 32; row < rows;
       row += (long long)(gridDim.x) * warps) {
    float loss = 0;
    for (int c = lane; c < classes; c += 32) {
      const long long at = row * classes + c;
      const float difference = logits[at] - targets[at];
      loss = fmaf(difference, difference, loss);
      gradients[at] = difference * share;
    }
    loss = warp_sum(loss);
    if (lane == 0) losses[row] = loss;
  }
}

extern "C" __global__ void __launch_bounds__(256) mean_of(const float *losses, int rows, float *mean) {
  __shared__ double parts[32];
  double sum = 0;
  for (long long row = threadIdx.x; row < rows; row += blockDim.x) sum += double(losses[row]);
#pragma unroll
  for (int bits = 16; bits; bits >>= 1) sum += __shfl_xor_sync(0xffffffff, sum, bits);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x) return;
  for (int warp = 1; warp < int(blockDim.x) / 32; warp++) sum += parts[warp];
  *mean = float(sum / rows);
}

extern "C" __global__ void __launch_bounds__(256)
    scaled(const float *values, const float *factor, int count, float *y) {
  const float by = *factor;
  for (long long i = (long long)(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += (long long)(gridDim.x) * blockDim.x)
    y[i] = values[i] * by;
}
