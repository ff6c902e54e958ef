// Every kernel for the CPU, on arrays of exact size, against plain loops.
#include <cstdio>

#include "CKernels.h"
#include "Drivers.h"
#include "Level.h"

int main() {
  check_rows();
  check_convolutions();
  check_attention();
  check_class_sums();
  std::printf("kernels with vectors of %d bits: as plain loops\n", static_cast<int>(ck_vector_bits()));
}
