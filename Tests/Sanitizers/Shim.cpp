// Makes, uses and frees every kind of handle of libtorch's C interface, and takes every way that fails. The leak sanitizer
// tells at the end what is left, the address sanitizer what is used when it is gone.
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "CTorch.h"
#include "Check.h"
#include "Written.h"

using check::require;

namespace {

constexpr int64_t cpu = int64_t{0};  // type CPU, no index
constexpr int64_t cuda = int64_t{1};
constexpr int32_t float32 = 6;

void succeed(ct_error error, const char *what) {
  require(error == nullptr, std::string(what) + ": " + (error ? error->message : ""));
}

void refuse(ct_error error, const char *what) {
  require(error != nullptr && error->message[0] != 0, std::string(what) + " was not refused");
  ct_error_free(error);
}

ct_tensor tensor(std::vector<int64_t> shape, float value = 1) {
  size_t count = 1;
  for (const auto size : shape) count *= static_cast<size_t>(size);
  const std::vector<float> values(count, value);
  ct_tensor result = nullptr;
  succeed(ct_tensor_from_bytes(values.data(), 4 * count, shape.data(), shape.size(), float32, cpu, &result), "a tensor");
  return result;
}

ct_operator find(const char *name, const char *overload) {
  ct_operator found = nullptr;
  succeed(ct_operator_find(name, overload, &found), name);
  return found;
}

ct_value value(ct_tensor tensor) {
  ct_value result{};
  result.tag = CT_TENSOR;
  result.tensor = tensor;
  return result;
}

ct_value number(int64_t i) {
  ct_value result{};
  result.tag = CT_INT;
  result.i = i;
  return result;
}

/// Calls an operator that gives one tensor.
ct_tensor call(const char *name, const char *overload, std::vector<ct_value> arguments) {
  ct_value result{};
  size_t count = 1;
  succeed(ct_operator_call(find(name, overload), arguments.data(), arguments.size(), &result, &count), name);
  require(count == 1 && result.tag == CT_TENSOR, std::string(name) + " gave no tensor");
  return result.tensor;
}

void tensors() {
  ct_tensor a = tensor({2, 3}), b = nullptr, empty = tensor({0, 3}), likes[2] = {};
  succeed(ct_tensor_retain(a, &b), "a second reference");
  require(ct_tensor_shares_storage(a, b) && ct_tensor_rank(a) == 2 && ct_tensor_element_size(a) == 4, "metadata");
  check::Exact<int64_t> shape(2);
  ct_tensor_shape(a, shape.data());
  require(shape[0] == 2 && shape[1] == 3 && ct_tensor_dtype(a) == float32 && ct_tensor_device(a) == cpu, "metadata");
  require(ct_tensor_is_contiguous(a, 0), "contiguous");
  check::Exact<float> copy(6);
  succeed(ct_tensor_copy_bytes(a, copy.data(), 24), "a copy");
  refuse(ct_tensor_copy_bytes(a, copy.data(), 20), "a copy of fewer bytes");
  succeed(ct_tensor_overwrite(a, copy.data(), 24), "other elements");
  refuse(ct_tensor_overwrite(a, copy.data(), 20), "fewer elements");
  void *address = nullptr;
  succeed(ct_tensor_address(empty, &address), "the address of nothing");
  succeed(ct_tensors_like(&a, 1, likes), "others like it");
  succeed(ct_tensors_like(&empty, 1, likes + 1), "others like it");
  int64_t changes = 0;
  succeed(ct_tensors_changes(likes, 2, &changes), "changes");
  ct_tensor wrong = nullptr;
  const int64_t negative = -1, huge[2] = {int64_t{1} << 40, int64_t{1} << 40};
  refuse(ct_tensor_from_bytes(nullptr, 0, &negative, 1, float32, cpu, &wrong), "a negative size");
  refuse(ct_tensor_from_bytes(nullptr, 0, huge, 2, float32, cpu, &wrong), "a size beyond all");
  refuse(ct_tensor_from_bytes(copy.data(), 20, shape.data(), 2, float32, cpu, &wrong), "too few bytes");
  for (auto *kept : {a, b, empty, likes[0], likes[1]}) ct_tensor_free(kept);
}

void operators() {
  ct_operator found = nullptr;
  refuse(ct_operator_find("aten::no_such_operator", "", &found), "an operator that is not there");
  ct_operator add = find("aten::add", "Tensor");
  char *schema = nullptr;
  succeed(ct_operator_schema(add, &schema), "a schema");
  ct_string_free(schema);
  ct_tensor a = tensor({4, 2}), b = tensor({4, 2}, 2), c = tensor({3});
  ct_tensor_free(call("aten::add", "Tensor", {value(a), value(b)}));

  ct_value results[2] = {};
  size_t count = 2;
  const ct_value unlike[2] = {value(a), value(c)};
  refuse(ct_operator_call(add, unlike, 2, results, &count), "shapes that do not fit");
  refuse(ct_operator_call(add, unlike, 1, results, &count), "a missing argument");
  const ct_value wrong[2] = {value(a), number(1)};
  refuse(ct_operator_call(add, wrong, 2, results, &count), "a number for a tensor");
  const ct_value many[9] = {};
  refuse(ct_operator_call(add, many, 9, results, &count), "too many arguments");
  count = 0;
  const ct_value both[2] = {value(a), value(b)};
  refuse(ct_operator_call(add, both, 2, results, &count), "no room for the result");

  // Results of several kinds: two tensors, a list of them, numbers, nothing.
  count = 2;
  const ct_value along[2] = {value(a), number(0)};
  succeed(ct_operator_call(find("aten::max", "dim"), along, 2, results, &count), "two results");
  for (auto &result : results) ct_tensor_free(result.tensor);
  count = 1;
  const ct_value parts[2] = {value(a), number(2)};
  succeed(ct_operator_call(find("aten::chunk", ""), parts, 2, results, &count), "a list");
  require(results[0].tag == CT_TENSOR_LIST, "a list of tensors");
  for (size_t i = 0; i < results[0].count; i++) ct_tensor_free(results[0].tensors[i]);
  ct_value_free(results);
  const ct_tensor listed[2] = {a, b};
  ct_value list{};
  list.tag = CT_TENSOR_LIST;
  list.count = 2;
  list.tensors = listed;
  ct_tensor_free(call("aten::cat", "", {list}));
  const int64_t sizes[2] = {2, 4};
  ct_value shape{};
  shape.tag = CT_INT_LIST;
  shape.count = 2;
  shape.ints = sizes;
  ct_tensor_free(call("aten::reshape", "", {value(a), shape}));
  const int64_t impossible[2] = {3, 3};
  shape.ints = impossible;
  const ct_value reshaped[2] = {value(a), shape};
  count = 1;
  refuse(ct_operator_call(find("aten::reshape", ""), reshaped, 2, results, &count), "another number of elements");
  ct_value bad{};
  bad.tag = static_cast<ct_tag>(77);
  const ct_value unknown[2] = {value(a), bad};
  refuse(ct_operator_call(add, unknown, 2, results, &count), "a value of no kind");
  count = 2;
  refuse(ct_operator_call(find("sanitized::mixed", ""), unknown, 1, results, &count), "a result that has no form in C");
  for (auto *kept : {a, b, c}) ct_tensor_free(kept);
}

int released = 0;
void release(void *context) {
  delete static_cast<int *>(context);
  released++;
}

ct_error pass(void *context, const ct_tensor *gradients, size_t count, ct_tensor *results, size_t result_count) {
  const bool fails = *static_cast<int *>(context) == 1;
  for (size_t i = 0; i < count; i++) {
    if (i < result_count && gradients[i] != nullptr) {
      results[i] = gradients[i];
    } else {
      ct_tensor_free(gradients[i]);
    }
  }
  return fails ? ct_error_make(CT_OTHER, "the caller's own failure") : nullptr;
}

/// Twice x, of which the caller differentiates the first part, well or not.
void caller_backward(bool fails) {
  ct_tensor x = tensor({3});
  succeed(ct_set_requires_grad(x, true), "gradients");
  const bool before = ct_set_grad_enabled(false);
  ct_tensor y = call("aten::clone", "", {value(x)});
  ct_set_grad_enabled(before);
  const int count = released;
  succeed(ct_attach_backward(&x, 1, &y, 1, new int(fails ? 1 : 0), pass, release), "a backward pass");
  ct_tensor sum = call("aten::sum", "", {value(y)});
  if (fails) {
    refuse(ct_backward(sum, nullptr, false), "a backward pass that fails");
  } else {
    succeed(ct_backward(sum, nullptr, false), "backward");
    refuse(ct_backward(sum, nullptr, false), "the same a second time");
    ct_tensor gradient = nullptr;
    succeed(ct_gradient(x, &gradient), "a gradient");
    require(gradient != nullptr, "there is no gradient");
    ct_tensor_free(gradient);
  }
  for (auto *kept : {x, y, sum}) ct_tensor_free(kept);
  require(released == count + 1, "the context was not released once");
}

void gradients() {
  ct_tensor x = tensor({2}), other = tensor({2}), none = nullptr, whole = tensor({2}, 0);
  succeed(ct_set_requires_grad(x, true), "gradients");
  require(ct_requires_grad(x) && ct_grad_enabled(), "gradients are off");
  succeed(ct_gradient(x, &none), "no gradient");
  require(none == nullptr, "a gradient of nothing");
  ct_tensor y = call("aten::mul", "Tensor", {value(x), value(x)});
  refuse(ct_backward(y, nullptr, false), "backward of more than one number");
  ct_tensor results[2] = {};
  const ct_tensor inputs[2] = {x, other};
  refuse(ct_grad(&y, &whole, 1, inputs, 2, true, false, results), "the gradient with respect to what has none");
  succeed(ct_grad(&y, &whole, 1, inputs, 1, true, false, results), "gradients");
  ct_tensor_free(results[0]);
  succeed(ct_set_gradient(x, whole), "another gradient");
  refuse(ct_set_gradient(x, nullptr) ?: ct_backward(other, nullptr, false), "backward without a graph");
  for (auto *kept : {x, other, whole, y}) ct_tensor_free(kept);
  caller_backward(false);
  caller_backward(true);
}

void generators() {
  ct_generator generator = nullptr;
  ct_tensor state = nullptr;
  succeed(ct_generator_make(cpu, 7, &generator), "a generator");
  succeed(ct_generator_state(generator, &state), "its state");
  succeed(ct_generator_set_state(generator, state), "a state");
  ct_tensor wrong = tensor({1});
  refuse(ct_generator_set_state(generator, wrong), "a state that is none");
  ct_generator other = nullptr;
  refuse(ct_generator_make(int64_t{5}, 7, &other), "a generator of a device that is none");
  ct_tensor_free(state);
  ct_tensor_free(wrong);
  ct_generator_free(generator);
}

void devices() {
  char *text = nullptr;
  succeed(ct_build_configuration(&text), "the configuration");
  ct_string_free(text);
  succeed(ct_library_path(&text), "the library");
  ct_string_free(text);
  require(std::strlen(ct_compiled_version()) > 0 && ct_thread_count() > 0, "a version and threads");
  succeed(ct_set_thread_count(1), "one thread");
  refuse(ct_set_thread_count(-1), "fewer threads than one");
  succeed(ct_set_convolution_tf32(false), "TF32");
  succeed(ct_set_deterministic(true), "determinism");
  succeed(ct_set_deterministic(false), "determinism");
  if (ct_cuda_device_count() > 0) return;
  int64_t first = 0, second = 0;
  void *stream = nullptr;
  ct_graph graph = nullptr;
  const ct_body body = [](void *) -> ct_error { return nullptr; };
  refuse(ct_cuda_make_current(cuda), "a device that is not there");
  refuse(ct_cuda_synchronize(cuda), "a device that is not there");
  refuse(ct_cuda_memory(cuda, &first, &second), "a device that is not there");
  refuse(ct_cuda_peak_bytes(cuda, &first, &second), "a device that is not there");
  refuse(ct_stream_handle(cuda, &stream), "a device that is not there");
  refuse(ct_on_side_stream(cuda, body, nullptr), "a device that is not there");
  refuse(ct_graph_record(cuda, body, nullptr, &graph), "a device that is not there");
  ct_graph_free(nullptr);
}

void modules(const std::string &directory) {
  const std::string path = directory + "/module.pt";
  write_module(path, Result::tuple);
  ct_module module = nullptr;
  refuse(ct_module_load((directory + "/none.pt").c_str(), cpu, &module), "a file that is not there");
  succeed(ct_module_load(path.c_str(), cpu, &module), "a module");
  succeed(ct_module_set_training(module, false), "evaluation");
  size_t count = 0;
  succeed(ct_module_tensor_count(module, &count), "parameters");
  require(count == 1, "one parameter");
  char *name = nullptr;
  ct_tensor weight = nullptr, x = tensor({2}), unlike = tensor({3}), results[2] = {};
  succeed(ct_module_tensor(module, 0, &name, &weight), "a parameter");
  refuse(ct_module_tensor(module, 1, &name, &weight), "a parameter that is not there");
  ct_string_free(name);
  ct_tensor_free(weight);
  count = 2;
  succeed(ct_module_forward(module, x, results, &count), "forward");
  require(count == 2, "two tensors");
  for (auto *result : results) ct_tensor_free(result);
  count = 1;
  refuse(ct_module_forward(module, x, results, &count), "no room for two tensors");
  refuse(ct_module_forward(module, unlike, results, &count), "an input of another shape");
  ct_module_free(module);
  write_module(path, Result::number);
  succeed(ct_module_load(path.c_str(), cpu, &module), "a module");
  refuse(ct_module_forward(module, x, results, &count), "a module that gives a number");
  ct_module_free(module);
  ct_tensor_free(x);
  ct_tensor_free(unlike);
}

/// One of two processes, played by a thread.
void rank(int32_t number, uint16_t port) {
  ct_store connected = nullptr, store = nullptr;
  succeed(ct_store_connect("127.0.0.1", port, number == 0, 20'000, &connected), "a store");
  succeed(ct_store_prefixed(connected, "p/", &store), "a prefix");
  const uint8_t bytes[3] = {1, 2, 3};
  char *found = nullptr;
  size_t count = 0;
  bool has = true;
  if (number == 0) succeed(ct_store_set(store, "key", bytes, 3), "a key");
  succeed(ct_store_get(store, "key", 20'000, &found, &count), "its bytes");
  require(count == 3 && std::memcmp(found, bytes, 3) == 0, "other bytes");
  ct_string_free(found);
  succeed(ct_store_has(store, "none", &has), "whether a key is there");
  refuse(ct_store_get(store, "none", 50, &found, &count), "a key that is not there");
  ct_group group = nullptr, other = nullptr;
  refuse(ct_group_make(store, number, 2, "no.such.host.invalid", false, 1000, &other), "a host that is none");
  succeed(ct_group_make(store, number, 2, "127.0.0.1", false, 20'000, &group), "a group");
  ct_tensor one = tensor({2}, static_cast<float>(number)), two = tensor({4}), wrong = tensor({3});
  ct_work work = nullptr;
  succeed(ct_group_gather(group, two, one, &work), "gathering");
  succeed(ct_work_wait(work), "its end");
  ct_work_free(work);
  succeed(ct_group_exchange(group, one, one, &work), "an exchange");
  succeed(ct_work_wait(work), "its end");
  ct_work_free(work);
  succeed(ct_group_broadcast(group, one, &work), "a broadcast");
  succeed(ct_work_wait(work), "its end");
  ct_work_free(work);
  refuse(ct_group_gather(group, wrong, one, &work), "an output of another size");
  for (auto *kept : {one, two, wrong}) ct_tensor_free(kept);
  ct_group_free(group);
  // The one that serves goes last.
  if (number == 1) succeed(ct_store_set(store, "end", bytes, 1), "the end");
  if (number == 0) {
    succeed(ct_store_get(store, "end", 20'000, &found, &count), "the end");
    ct_string_free(found);
  }
  ct_store_free(store);
  ct_store_free(connected);
  require(ct_live_tensors() == 0, "a tensor is left");
}

void groups() {
  const auto port = static_cast<uint16_t>(20'000 + getpid() % 20'000);
  ct_store none = nullptr;
  refuse(ct_store_connect("127.0.0.1", 1, false, 100, &none), "a store that nobody serves");
  std::thread first([=] { rank(0, port); }), second([=] { rank(1, port); });
  first.join();
  second.join();
}

}  // namespace

int main() {
  const auto directory = std::filesystem::temp_directory_path() / ("shim-" + std::to_string(getpid()));
  std::filesystem::create_directory(directory);
  tensors();
  operators();
  gradients();
  generators();
  devices();
  modules(directory);
  groups();
  std::filesystem::remove_all(directory);
  require(ct_live_tensors() == 0, "tensors are left");
  std::printf("shim: every handle, and every failure\n");
}
