// Sixteen floats at a time, in whatever registers the processor has.
#ifndef CKERNELS_VECTORS_H
#define CKERNELS_VECTORS_H

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "CKernels.h"

// Inlined into functions that are compiled for a processor's features, and so compiled for them, too.
#define CK_INLINE inline __attribute__((always_inline))
#define CK_INLINE_LAMBDA __attribute__((always_inline))

namespace kernels {

constexpr size_t width = 16;
/// Rows whose sums are kept in float before they are added in double; threads share whole blocks.
constexpr size_t block = 64;
typedef float Floats __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef int32_t Masks __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

/// The upper half of a float.
struct BFloat16 {
  uint16_t bits;
};

CK_INLINE Floats load(const float *source) {
  Floats value;
  std::memcpy(&value, source, sizeof value);
  return value;
}

CK_INLINE void store(float *target, Floats value) { std::memcpy(target, &value, sizeof value); }

CK_INLINE Floats load(const BFloat16 *source) {
  Halves halves;
  std::memcpy(&halves, source, sizeof halves);
  return reinterpret_cast<Floats>(__builtin_convertvector(halves, Words) << 16);
}

/// Rounds to the nearest, ties to even; what is not a number stays so.
CK_INLINE void store(BFloat16 *target, Floats value) {
  const auto bits = reinterpret_cast<Words>(value);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Masks is_number = value == value;
  const auto chosen = (reinterpret_cast<Masks>(rounded) & is_number) | (0x7fc0 & ~is_number);
  const Halves halves = __builtin_convertvector(reinterpret_cast<Words>(chosen), Halves);
  std::memcpy(target, &halves, sizeof halves);
}

/// Calls a callable with an element of the C++ type that a ck_type stands for.
template <typename Callable>
void by_type(ck_type type, Callable &&callable) {
  if (type == CK_BFLOAT16) {
    callable(BFloat16{});
  } else {
    callable(float{});
  }
}

/// value where condition is positive, else 0.
CK_INLINE Floats where_positive(Floats condition, Floats value) {
  const Masks positive = condition > 0.0F;
  return reinterpret_cast<Floats>(reinterpret_cast<Masks>(value) & positive);
}

/// max(value, 0); what is not a number stays so.
CK_INLINE Floats rectified(Floats value) {
  const Masks negative = value < 0.0F;
  return reinterpret_cast<Floats>(reinterpret_cast<Masks>(value) & ~negative);
}

}  // namespace kernels

/// Defines NAME, which calls BODY<T> compiled for the best of the processor's instruction sets.
/// BODY is a template of an element type, marked CK_INLINE.
#if defined(__x86_64__)
#define CK_DISPATCH(NAME, BODY, PARAMETERS, ARGUMENTS)                                                   \
  template <typename T>                                                                                  \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"), noinline)) static void          \
      NAME##_512 PARAMETERS {                                                                            \
    BODY<T> ARGUMENTS;                                                                                   \
  }                                                                                                      \
  template <typename T>                                                                                  \
  __attribute__((target("avx2,fma"), noinline)) static void NAME##_256 PARAMETERS {                      \
    BODY<T> ARGUMENTS;                                                                                   \
  }                                                                                                      \
  template <typename T>                                                                                  \
  static void NAME PARAMETERS {                                                                          \
    static const int level = kernels::vector_level();                                                    \
    if (level == 512) return NAME##_512<T> ARGUMENTS;                                                    \
    if (level == 256) return NAME##_256<T> ARGUMENTS;                                                    \
    BODY<T> ARGUMENTS;                                                                                   \
  }

namespace kernels {
/// Bits of the widest vectors that the processor computes with.
inline int vector_level() {
  __builtin_cpu_init();
  const bool has_256 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return has_256 && has_512 ? 512 : has_256 ? 256 : 128;
}
}  // namespace kernels
#else
#define CK_DISPATCH(NAME, BODY, PARAMETERS, ARGUMENTS) \
  template <typename T>                                \
  static void NAME PARAMETERS {                        \
    BODY<T> ARGUMENTS;                                 \
  }

namespace kernels {
inline int vector_level() { return 128; }
}  // namespace kernels
#endif

#endif
