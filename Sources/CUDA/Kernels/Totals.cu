// Sums over the slices or blocks that a launch before has worked on.

/// totals[c] = Σ partial[slice][c] in a fixed order. A block of 256 threads takes 32 columns: eight threads,
/// which stand in different warps, share the slices of a column.
extern "C" __global__ void __launch_bounds__(256)
    column_totals(const float *partial, int slices, int columns, float *totals) {
  __shared__ double parts[8][32];
  const int lane = int(threadIdx.x) % 32, part = int(threadIdx.x) / 32, shares = int(blockDim.x) / 32;
  const int column = int(blockIdx.x) * 32 + lane;
  // Loads that are under way together.
  constexpr int most = 16;
  double sum = 0;
  if (column < columns)
    for (int first = part; first < slices; first += most * shares) {
      float values[most];
#pragma unroll
      for (int k = 0; k < most; k++)
        values[k] = partial[(long long)(min(first + k * shares, slices - 1)) * columns + column];
#pragma unroll
      for (int k = 0; k < most; k++)
        if (first + k * shares < slices) sum += values[k];
    }
  parts[part][lane] = sum;
  __syncthreads();
  if (part || column >= columns) return;
  for (int other = 1; other < shares; other++) sum += parts[other][lane];
  totals[column] = float(sum);
}
