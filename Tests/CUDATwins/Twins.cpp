// The kernels' own sources, compiled for the CPU, each file in a namespace as each is a program of its own on
// a GPU.
#include "CUDATwins.h"

#include <mutex>

#define COLLAPSE_EMULATED
#include "Emulation.h"

#include "../../Sources/CUDA/Kernels/Common.cuh"

namespace batch_norm {
#include "../../Sources/CUDA/Kernels/BatchNorm.cu"
}
namespace layer_norm {
#include "../../Sources/CUDA/Kernels/LayerNorm.cu"
}
namespace totals {
#include "../../Sources/CUDA/Kernels/Totals.cu"
}
namespace gelu {
#include "../../Sources/CUDA/Kernels/BiasGelu.cu"
}
namespace optimizer {
#include "../../Sources/CUDA/Kernels/Optimizer.cu"
}
namespace batch {
#include "../../Sources/CUDA/Kernels/Batch.cu"
}
namespace loss {
#include "../../Sources/CUDA/Kernels/Loss.cu"
}

using namespace batch_norm;
using namespace layer_norm;
using namespace totals;
using namespace gelu;
using namespace optimizer;
using namespace batch;
using namespace loss;

namespace {

struct Twin {
  const char *name;
  void (*call)(void **arguments);
};

#define ONE(kernel) {#kernel, emulation::Thunk<&kernel>::call}
#define BOTH(kernel) ONE(kernel##_f32), ONE(kernel##_bf16)

/// All kernels: BOTH for those that there are for float and for bf16, else ONE.
const Twin twins[] = {
    BOTH(batch_statistics),
    ONE(batch_moments),
    ONE(batch_running),
    BOTH(batch_rectify),
    BOTH(batch_gradient_sums),
    BOTH(batch_gradient),
    BOTH(layer_norm),
    BOTH(layer_norm_gradient),
    ONE(column_totals),
    BOTH(bias_gelu),
    BOTH(bias_gelu_gradient),
    BOTH(sgd),
    BOTH(adam),
    BOTH(assemble),
    ONE(assemble_targets),
    ONE(cross_entropy),
    ONE(squared_error),
    ONE(mean_of),
    ONE(scaled),
};

}  // namespace

int twin_launch(const char *name, unsigned grid_x, unsigned grid_y, unsigned threads, void **arguments) {
  // Shared memory and the fibers are one block's at a time.
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto &twin : twins) {
    if (strcmp(twin.name, name)) continue;
    return emulation::launch(twin.call, grid_x, grid_y, threads, arguments) ? 0 : 2;
  }
  return 1;
}
