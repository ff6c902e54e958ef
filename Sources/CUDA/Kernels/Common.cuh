// What all kernels share. The loader puts this text in front of each file of kernels, and NVRTC has no
// headers: nothing is included here. Tensors begin at multiples of 16 bytes, their rows have a multiple of
// eight elements.

struct bf16 {
  unsigned short bits;
};

__device__ __forceinline__ float widen(float value) { return value; }

__device__ __forceinline__ float widen(bf16 value) { return __uint_as_float(unsigned(value.bits) << 16); }

/// The bits of two values rounded to bfloat16, ties to even; the first is the lower half. NaN stays NaN.
__device__ __forceinline__ unsigned bf16_pair(float low, float high) {
#ifdef COLLAPSE_EMULATED
  unsigned halves[2] = {__float_as_uint(low), __float_as_uint(high)};
  for (unsigned &bits : halves)
    bits = (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return halves[0] | halves[1] << 16;
#else
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#endif
}

__device__ __forceinline__ void narrow(float value, float &to) { to = value; }

__device__ __forceinline__ void narrow(float value, bf16 &to) {
  to.bits = (unsigned short)(bf16_pair(value, 0) & 0xffff);
}

/// What is left of a value once it has been an element of type T.
template <typename T>
__device__ __forceinline__ float rounded(float value) {
  T element;
  narrow(value, element);
  return widen(element);
}

__device__ __forceinline__ uint4 load_16_bytes(const void *at) {
#ifdef COLLAPSE_EMULATED
  uint4 value;
  memcpy(&value, emulation::checked(at), 16);
  return value;
#else
  return *static_cast<const uint4 *>(at);
#endif
}

__device__ __forceinline__ void store_16_bytes(void *at, uint4 value) {
#ifdef COLLAPSE_EMULATED
  memcpy(emulation::checked(at), &value, 16);
#else
  *static_cast<uint4 *>(at) = value;
#endif
}

/// Eight elements as they lie in memory, at a multiple of 16 bytes. Loads that should be under way together
/// are all made before any of their values is used, and stay as narrow as they are until then.
template <typename T>
struct Eight {
  uint4 parts[sizeof(T) / 2];
};

template <typename T>
__device__ __forceinline__ Eight<T> load_eight(const T *at) {
  Eight<T> eight;
#pragma unroll
  for (int i = 0; i < int(sizeof(T) / 2); i++) eight.parts[i] = load_16_bytes(at + i * (16 / int(sizeof(T))));
  return eight;
}

template <typename T>
__device__ __forceinline__ void store_eight(T *at, const Eight<T> &eight) {
#pragma unroll
  for (int i = 0; i < int(sizeof(T) / 2); i++) store_16_bytes(at + i * (16 / int(sizeof(T))), eight.parts[i]);
}

__device__ __forceinline__ void unpack(const Eight<float> &eight, float (&values)[8]) {
#pragma unroll
  for (int i = 0; i < 2; i++) {
    values[4 * i] = __uint_as_float(eight.parts[i].x);
    values[4 * i + 1] = __uint_as_float(eight.parts[i].y);
    values[4 * i + 2] = __uint_as_float(eight.parts[i].z);
    values[4 * i + 3] = __uint_as_float(eight.parts[i].w);
  }
}

__device__ __forceinline__ void unpack(const Eight<bf16> &eight, float (&values)[8]) {
  const unsigned pairs[4] = {eight.parts[0].x, eight.parts[0].y, eight.parts[0].z, eight.parts[0].w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    values[2 * i] = __uint_as_float(pairs[i] << 16);
    values[2 * i + 1] = __uint_as_float(pairs[i] & 0xffff0000);
  }
}

__device__ __forceinline__ void pack(const float (&values)[8], Eight<float> &eight) {
#pragma unroll
  for (int i = 0; i < 2; i++)
    eight.parts[i] = {__float_as_uint(values[4 * i]), __float_as_uint(values[4 * i + 1]),
                      __float_as_uint(values[4 * i + 2]), __float_as_uint(values[4 * i + 3])};
}

__device__ __forceinline__ void pack(const float (&values)[8], Eight<bf16> &eight) {
  eight.parts[0] = {bf16_pair(values[0], values[1]), bf16_pair(values[2], values[3]),
                    bf16_pair(values[4], values[5]), bf16_pair(values[6], values[7])};
}

template <typename T>
__device__ __forceinline__ void load_values(const T *at, float (&values)[8]) {
  unpack(load_eight(at), values);
}

template <typename T>
__device__ __forceinline__ void store_values(T *at, const float (&values)[8]) {
  Eight<T> eight;
  pack(values, eight);
  store_eight(at, eight);
}

/// Rows of a tensor that a thread has under way at once: 64 bytes.
template <typename T>
constexpr int rows_at_once = 8 / int(sizeof(T));

/// How many of `most` rows, `step` apart, come before the end; the first does.
template <int most, typename Index>
__device__ __forceinline__ int rows_before(Index end, Index row, Index step) {
  int count = 1;
#pragma unroll
  for (int k = 1; k < most; k++) count += row + k * step < end;
  return count;
}

/// Loads eight elements of each of `count` rows, `next` elements apart. The first row stands for those that
/// aren't there, so that no load waits for a branch.
template <typename T, int most>
__device__ __forceinline__ void load_rows(const T *at, long long next, int count, Eight<T> (&rows)[most]) {
#pragma unroll
  for (int k = 0; k < most; k++) rows[k] = load_eight(at + (k < count ? k * next : 0));
}

/// Rows become the sums of rows and addends as they are when rounded to the element type, and go to sum.
template <typename T, int most>
__device__ __forceinline__ void add_rows(Eight<T> (&rows)[most], const Eight<T> (&addends)[most], T *sum,
                                         long long next, int count) {
#pragma unroll
  for (int k = 0; k < most; k++) {
    float left[8], right[8];
    unpack(rows[k], left);
    unpack(addends[k], right);
#pragma unroll
    for (int i = 0; i < 8; i++) left[i] += right[i];
    pack(left, rows[k]);
    if (k < count) store_eight(sum + k * next, rows[k]);
  }
}

/// Loads x, or its sum with the addend unless this is null, which goes to sum. This may be x.
template <typename T, int most>
__device__ __forceinline__ void load_sums(const T *x, const T *addend, T *sum, long long at, long long next,
                                          int count, Eight<T> (&rows)[most]) {
  load_rows(x + at, next, count, rows);
  if (!addend) return;
  Eight<T> addends[most];
  load_rows(addend + at, next, count, addends);
  add_rows(rows, addends, sum + at, next, count);
}

/// The first row of a slice of rows; the last slice ends where one more would begin.
__device__ __forceinline__ long long slice_start(int slice, int slices, int rows) {
  return (long long)(slice)*rows / slices;
}

/// How a grid of any size walks over rows of `vectors` times eight elements. A thread keeps its columns while
/// it goes down the rows, so that what belongs to columns can stay in registers; threads side by side take
/// vectors side by side. No barriers within, as threads that are left over have no rows.
///
///     for (int vector = walk.vector; vector < vectors; vector += walk.span)
///       for (long long row = walk.row; row < rows; row += walk.step) …
struct Walk {
  int vector, span;
  long long row, step;

  __device__ __forceinline__ Walk(int vectors) {
    // Blocks in excess of 2²¹ have nothing to do, and 32 bits suffice for the number of a thread.
    const unsigned blocks = min(gridDim.x, 1u << 21);
    const unsigned threads = blocks * blockDim.x, thread = blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned width = min(threads, unsigned(vectors)), together = threads / width;
    span = int(width);
    vector = int(thread % width);
    row = thread / width;
    step = together;
    if (blockIdx.x >= blocks || row >= step) vector = vectors;
  }
};

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int bits = 16; bits; bits >>= 1) value += __shfl_xor_sync(0xffffffff, value, bits);
  return value;
}

/// Each thread brings `kinds` values for each of eight columns; threads that are a multiple of `lanes` (a
/// power of two up to 32) apart have the same columns, and thread 0 begins at column `first`. Their sums over
/// the block (whole warps, 256 threads at most), in a fixed order, go to sums[kind · columns + column], as
/// far as there are columns. All threads of the block must come here; those that have nothing bring zeros.
template <int kinds>
__device__ __forceinline__ void store_column_sums(float (&values)[kinds][8], int lanes, int first,
                                                  int columns, float *sums) {
  // Rows of 36 keep both the writing and the reading threads of a warp in different banks.
  __shared__ float parts[8][kinds][8 * 36];
  const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32, warps = int(blockDim.x) / 32;
  for (int bits = lanes; bits < 32; bits <<= 1)
#pragma unroll
    for (int k = 0; k < kinds; k++)
#pragma unroll
      for (int i = 0; i < 8; i++) values[k][i] += __shfl_xor_sync(0xffffffff, values[k][i], bits);
  // What is left here from a call before has to be read first.
  __syncthreads();
  if (lane < lanes)
#pragma unroll
    for (int k = 0; k < kinds; k++)
#pragma unroll
      for (int i = 0; i < 8; i++) parts[warp][k][i * 36 + lane] = values[k][i];
  __syncthreads();
  const int here = min(lanes * 8, columns - first);
  for (int column = int(threadIdx.x); column < here; column += int(blockDim.x))
#pragma unroll
    for (int k = 0; k < kinds; k++) {
      float sum = 0;
      for (int w = 0; w < warps; w++) sum += parts[w][k][column % 8 * 36 + column / 8];
      sums[(long long)(k)*columns + first + column] = sum;
    }
}
