#include "Internal.h"

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <string>
#include <utility>
#include <vector>

struct ct_module_s {
  torch::jit::Module value;
  std::vector<std::pair<std::string, at::Tensor>> tensors;
};

namespace {

/// The tensors of a result: one alone, or those of a tuple or list.
std::vector<at::Tensor> tensors_of(const c10::IValue &result) {
  if (result.isTensor()) return {result.toTensor()};
  if (result.isTensorList()) return result.toTensorVector();
  std::vector<at::Tensor> tensors;
  TORCH_CHECK(result.isTuple(), "the module gave ", result.tagKind(), ", not a tensor or a tuple of tensors");
  for (const auto &element : result.toTupleRef().elements()) {
    TORCH_CHECK(element.isTensor(), "the module gave a tuple with ", element.tagKind(), " in it");
    tensors.push_back(element.toTensor());
  }
  return tensors;
}

}  // namespace

extern "C" ct_error ct_module_load(const char *path, int64_t device, ct_module *result) {
  return shim::guarded([&] {
    auto module = std::make_unique<ct_module_s>();
    module->value = torch::jit::load(path, shim::decode(device));
    for (const auto &entry : module->value.named_parameters()) {
      module->tensors.emplace_back(entry.name, entry.value);
    }
    for (const auto &entry : module->value.named_buffers()) {
      module->tensors.emplace_back(entry.name, entry.value);
    }
    *result = module.release();
  });
}

extern "C" void ct_module_free(ct_module module) { delete module; }

extern "C" ct_error ct_module_set_training(ct_module module, bool training) {
  return shim::guarded([&] { module->value.train(training); });
}

extern "C" ct_error ct_module_forward(ct_module module, ct_tensor input, ct_tensor *results,
                                      size_t *result_count) {
  return shim::guarded([&] {
    auto tensors = tensors_of(module->value.forward({input->value}));
    TORCH_CHECK(tensors.size() <= *result_count, "the module gave ", tensors.size(), " tensors");
    *result_count = tensors.size();
    for (size_t i = 0; i < tensors.size(); i++) results[i] = shim::own(std::move(tensors[i]));
  });
}

extern "C" ct_error ct_module_tensor_count(ct_module module, size_t *result) {
  return shim::guarded([&] { *result = module->tensors.size(); });
}

extern "C" ct_error ct_module_tensor(ct_module module, size_t index, char **name, ct_tensor *result) {
  return shim::guarded([&] {
    const auto &entry = module->tensors.at(index);
    *result = shim::own(entry.second);
    *name = shim::copy_string(entry.first);
  });
}
