// The update of many tensors in one launch, in float32, as PyTorch's fused optimisers have it. A block of 256
// threads updates 2048 elements, eight a thread; each number is read and written once.

constexpr int update_tensors = 64, update_threads = 256, update_block = 8 * update_threads;

/// What is updated, 64 tensors at most. It travels as a kernel's parameter.
struct update_table {
  float *parameter[update_tensors];
  /// In the type of the kernel.
  const void *gradient[update_tensors];
  /// Velocity or first moment; null: none.
  float *first[update_tensors];
  /// Second moment.
  float *second[update_tensors];
  /// Receives the parameter rounded to bfloat16; null: none.
  bf16 *copy[update_tensors];
  /// Elements.
  int size[update_tensors];
  /// The blocks of tensor i are first_block[i] ..< first_block[i + 1].
  int first_block[update_tensors + 1];
  int count;
};

// The limit is 4096 bytes for all parameters of a kernel; whoever fills a table counts on its size.
static_assert(sizeof(update_table) == 3080 && sizeof(update_table) + 64 <= 4096, "the table is too large");

/// The part of a tensor that a block updates; the number of its elements is 0 where the block has none.
template <typename T>
struct UpdatePart {
  float *parameter, *first, *second;
  const T *gradient;
  bf16 *copy;
  int size;
  /// Whether all of it can be read and written by fours.
  bool is_whole;

  __device__ __forceinline__ UpdatePart(const update_table &table) {
    const int block = int(blockIdx.x);
    size = 0;
    if (block >= table.first_block[table.count]) return;
    // The last tensor that starts at the block or before: empty ones do not count.
    int tensor = 0;
    for (int end = table.count; end - tensor > 1;) {
      const int middle = (tensor + end) / 2;
      if (table.first_block[middle] <= block) tensor = middle;
      else end = middle;
    }
    const long long start = (long long)(block - table.first_block[tensor]) * update_block;
    size = int(min((long long)update_block, table.size[tensor] - start));
    parameter = table.parameter[tensor] + start;
    gradient = static_cast<const T *>(table.gradient[tensor]) + start;
    first = table.first[tensor] ? table.first[tensor] + start : nullptr;
    second = table.second[tensor] ? table.second[tensor] + start : nullptr;
    copy = table.copy[tensor] ? table.copy[tensor] + start : nullptr;
    const size_t floats = size_t(parameter) | size_t(first) | size_t(second);
    is_whole = size == update_block && floats % 16 == 0 && size_t(gradient) % (4 * sizeof(T)) == 0 &&
               size_t(copy) % 8 == 0;
  }
};

__device__ __forceinline__ void load_four(const float *at, float *values) {
  const uint4 bits = load_16_bytes(at);
  values[0] = __uint_as_float(bits.x);
  values[1] = __uint_as_float(bits.y);
  values[2] = __uint_as_float(bits.z);
  values[3] = __uint_as_float(bits.w);
}

__device__ __forceinline__ void load_four(const bf16 *at, float *values) {
  unsigned long long bits;
#ifdef COLLAPSE_EMULATED
  if (size_t(at) % 8) emulation::fail();
  memcpy(&bits, at, 8);
#else
  bits = *reinterpret_cast<const unsigned long long *>(at);
#endif
  const unsigned low = unsigned(bits), high = unsigned(bits >> 32);
  values[0] = __uint_as_float(low << 16);
  values[1] = __uint_as_float(low & 0xffff0000);
  values[2] = __uint_as_float(high << 16);
  values[3] = __uint_as_float(high & 0xffff0000);
}

__device__ __forceinline__ void store_four(float *at, const float *values) {
  store_16_bytes(at, {__float_as_uint(values[0]), __float_as_uint(values[1]), __float_as_uint(values[2]),
                      __float_as_uint(values[3])});
}

__device__ __forceinline__ void store_four(bf16 *at, const float *values) {
  const unsigned long long bits =
      bf16_pair(values[0], values[1]) | (unsigned long long)(bf16_pair(values[2], values[3])) << 32;
#ifdef COLLAPSE_EMULATED
  if (size_t(at) % 8) emulation::fail();
  memcpy(at, &bits, 8);
#else
  *reinterpret_cast<unsigned long long *>(at) = bits;
#endif
}

/// The eight elements of a thread: two times four that lie together or, where a part is not whole, eight that
/// lie apart. Either way the threads of a warp read what lies side by side.
template <bool whole, typename T>
__device__ __forceinline__ void load_part(const T *from, int size, float (&values)[8]) {
  const int thread = int(threadIdx.x);
  if constexpr (whole) {
#pragma unroll
    for (int k = 0; k < 2; k++) load_four(from + 4 * (k * update_threads + thread), values + 4 * k);
  } else {
#pragma unroll
    for (int k = 0; k < 8; k++) {
      const int at = k * update_threads + thread;
      values[k] = at < size ? widen(from[at]) : 0;
    }
  }
}

template <bool whole, typename T>
__device__ __forceinline__ void store_part(T *to, int size, const float (&values)[8]) {
  const int thread = int(threadIdx.x);
  if constexpr (whole) {
#pragma unroll
    for (int k = 0; k < 2; k++) store_four(to + 4 * (k * update_threads + thread), values + 4 * k);
  } else {
#pragma unroll
    for (int k = 0; k < 8; k++) {
      const int at = k * update_threads + thread;
      if (at < size) narrow(values[k], to[at]);
    }
  }
}

struct SGDRule {
  float rate, factor, momentum, decay;
  bool nesterov;
};

template <bool whole, typename T>
__device__ __forceinline__ void sgd_part(const UpdatePart<T> &part, const SGDRule &rule) {
  float parameter[8], gradient[8], velocity[8];
  load_part<whole>(part.parameter, part.size, parameter);
  load_part<whole>(part.gradient, part.size, gradient);
  if (part.first) load_part<whole>(part.first, part.size, velocity);
#pragma unroll
  for (int i = 0; i < 8; i++) {
    float step = __fmul_rn(gradient[i], rule.factor);
    // Without decay an infinite parameter does not count.
    if (rule.decay != 0) step = fmaf(rule.decay, parameter[i], step);
    if (part.first) {
      velocity[i] = fmaf(rule.momentum, velocity[i], step);
      step = rule.nesterov ? fmaf(rule.momentum, velocity[i], step) : velocity[i];
    }
    parameter[i] = fmaf(-rule.rate, step, parameter[i]);
  }
  store_part<whole>(part.parameter, part.size, parameter);
  if (part.first) store_part<whole>(part.first, part.size, velocity);
  if (part.copy) store_part<whole>(part.copy, part.size, parameter);
}

template <typename T>
__device__ __forceinline__ void sgd(const update_table &table, const float *learning_rate,
                                    const float *factor, float momentum, float decay, int nesterov) {
  const UpdatePart<T> part(table);
  if (part.size == 0) return;
  const SGDRule rule = {*learning_rate, factor ? *factor : 1, momentum, decay, nesterov != 0};
  if (part.is_whole) sgd_part<true>(part, rule);
  else sgd_part<false>(part, rule);
}

/// A factor as the sum of two, since one of them alone would be amplified 1 / (1 − β) times over the steps.
struct SplitFactor {
  float high, low;

  __device__ __forceinline__ SplitFactor(double value)
      : high(float(value)), low(float(value - double(high))) {}

  /// factor · average + term.
  __device__ __forceinline__ float moved(float average, float term) const {
    return fmaf(high, average, fmaf(low, average, term));
  }
};

struct AdamRule {
  const float *rate, *number;
  float factor;
  double beta1, beta2;
  float epsilon, decay;
  bool decoupled;
};

template <bool whole, typename T>
__device__ __forceinline__ void adam_part(const UpdatePart<T> &part, const AdamRule &rule) {
  // Learning rate / (1 − β₁ⁿ), and √(1 − β₂ⁿ).
  __shared__ float corrections[2];
  float parameter[8], gradient[8], first[8], second[8];
  load_part<whole>(part.parameter, part.size, parameter);
  load_part<whole>(part.gradient, part.size, gradient);
  load_part<whole>(part.first, part.size, first);
  load_part<whole>(part.second, part.size, second);
  const double rate = *rule.rate;
  // Two threads compute the powers while the loads are under way.
  if (threadIdx.x < 2) {
    const double correction = 1 - pow(threadIdx.x ? rule.beta2 : rule.beta1, double(*rule.number));
    corrections[threadIdx.x] = float(threadIdx.x ? sqrt(correction) : rate / correction);
  }
  __syncthreads();
  const float size = corrections[0], root = corrections[1], shrinkage = float(rate * double(rule.decay));
  const SplitFactor beta1(rule.beta1), beta2(rule.beta2);
  const float rest1 = float(1 - rule.beta1), rest2 = float(1 - rule.beta2);
#pragma unroll
  for (int i = 0; i < 8; i++) {
    float g = __fmul_rn(gradient[i], rule.factor);
    if (rule.decay != 0) {
      if (rule.decoupled) parameter[i] = fmaf(-shrinkage, parameter[i], parameter[i]);
      else g = fmaf(rule.decay, parameter[i], g);
    }
    first[i] = beta1.moved(first[i], __fmul_rn(rest1, g));
    second[i] = beta2.moved(second[i], __fmul_rn(__fmul_rn(rest2, g), g));
    const float denominator = __fadd_rn(sqrtf(second[i]) / root, rule.epsilon);
    parameter[i] = __fadd_rn(parameter[i], -(__fmul_rn(size, first[i]) / denominator));
  }
  store_part<whole>(part.parameter, part.size, parameter);
  store_part<whole>(part.first, part.size, first);
  store_part<whole>(part.second, part.size, second);
  if (part.copy) store_part<whole>(part.copy, part.size, parameter);
}

template <typename T>
__device__ __forceinline__ void adam(const update_table &table, const float *factor, AdamRule rule) {
  const UpdatePart<T> part(table);
  if (part.size == 0) return;
  if (factor) rule.factor = *factor;
  if (part.is_whole) adam_part<true>(part, rule);
  else adam_part<false>(part, rule);
}

extern "C" __global__ void __launch_bounds__(256)
    sgd_f32(const update_table table, const float *learning_rate, const float *factor, float momentum,
            float decay, int nesterov) {
  sgd<float>(table, learning_rate, factor, momentum, decay, nesterov);
}

extern "C" __global__ void __launch_bounds__(256)
    sgd_bf16(const update_table table, const float *learning_rate, const float *factor, float momentum,
             float decay, int nesterov) {
  sgd<bf16>(table, learning_rate, factor, momentum, decay, nesterov);
}

extern "C" __global__ void __launch_bounds__(256)
    adam_f32(const update_table table, const float *learning_rate, const float *number, const float *factor,
             double beta1, double beta2, float epsilon, float decay, int decoupled) {
  adam<float>(table, factor, {learning_rate, number, 1, beta1, beta2, epsilon, decay, decoupled != 0});
}

extern "C" __global__ void __launch_bounds__(256)
    adam_bf16(const update_table table, const float *learning_rate, const float *number, const float *factor,
              double beta1, double beta2, float epsilon, float decay, int decoupled) {
  adam<bf16>(table, factor, {learning_rate, number, 1, beta1, beta2, epsilon, decay, decoupled != 0});
}
