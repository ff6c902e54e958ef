// Included before every file of the kernels: SANITIZED_BITS in the environment says which of the processor's vectors they are
// to believe that it has, so that every level is tried on one machine.
#pragma once

#if defined(__x86_64__)

#include <cstdlib>
#include <cstring>

namespace sanitized {

/// Bits of the widest vectors that may be used: 128, 256 or 512.
inline int most_bits() {
  const char *text = std::getenv("SANITIZED_BITS");
  return text == nullptr ? 512 : std::atoi(text);
}

inline bool processor_has(const char *feature) {
  const bool is_wide = std::strncmp(feature, "avx512", 6) == 0;
  if (most_bits() < (is_wide ? 512 : 256)) return false;
  // The builtin takes nothing but literals.
  if (is_wide) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

}  // namespace sanitized

#define __builtin_cpu_supports(feature) sanitized::processor_has(feature)

#endif
