#include "CKernels.h"
#include "Vectors.h"

extern "C" int32_t ck_vector_bits(void) {
  static const int32_t bits = kernels::vector_level();
  return bits;
}
