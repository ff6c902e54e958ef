// Functions of sixteen floats.
#ifndef CKERNELS_MATH_H
#define CKERNELS_MATH_H

#include "Vectors.h"

namespace kernels {

/// e^x for x in −87 … 87, to 2e-7 of itself: 2^n times a polynomial in the rest.
CK_INLINE Floats exponential(Floats x) {
  const Floats scaled = x * 1.44269504F;
  // Adding and taking away 1.5 · 2^23 rounds to a whole number.
  const Floats rounded = (scaled + 12582912.0F) - 12582912.0F;
  const Floats rest = (x - rounded * 0.693359375F) + rounded * 2.12194440e-4F;
  Floats sum = rest * 1.3981999e-3F + 8.3333333e-3F;
  sum = sum * rest + 4.1666666e-2F;
  sum = sum * rest + 1.6666667e-1F;
  sum = sum * rest + 0.5F;
  sum = sum * rest + 1.0F;
  sum = sum * rest + 1.0F;
  const auto power = (__builtin_convertvector(rounded, Masks) + 127) << 23;
  return sum * reinterpret_cast<Floats>(power);
}

CK_INLINE Floats chosen(Masks condition, Floats a, Floats b) {
  return reinterpret_cast<Floats>((reinterpret_cast<Masks>(a) & condition) |
                                  (reinterpret_cast<Masks>(b) & ~condition));
}

/// The larger of two; a where b is not a number.
CK_INLINE Floats maximum(Floats a, Floats b) { return chosen(b > a, b, a); }

/// The smaller of two; a where b is not a number.
CK_INLINE Floats minimum(Floats a, Floats b) { return chosen(b < a, b, a); }

}  // namespace kernels

#endif
