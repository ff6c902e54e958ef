#include "Written.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

// An operator whose second result has no form in C, when the first is there already.
TORCH_LIBRARY(sanitized, library) {
  library.def("mixed", [](const at::Tensor &x) {
    return std::tuple<std::vector<at::Tensor>, c10::List<bool>>({x, x}, c10::List<bool>({true}));
  });
}

void write_module(const std::string &path, Result result) {
  torch::jit::Module module("Sample");
  module.register_parameter("weight", at::ones({2}), false);
  module.define(result == Result::tuple ? "def forward(self, x):\n  return x + self.weight, x\n"
                                        : "def forward(self, x):\n  return 1\n");
  module.save(path);
}
