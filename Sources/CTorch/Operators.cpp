#include <ATen/core/dispatch/Dispatcher.h>

#include <memory>
#include <mutex>
#include <unordered_map>

#include "Internal.h"

struct ct_operator_s {
  c10::OperatorHandle handle;
};

namespace {

c10::IValue to_ivalue(const ct_value &value) {
  switch (value.tag) {
    case CT_NONE:
      return {};
    case CT_TENSOR:
      return shim::borrow(value.tensor);
    case CT_TENSOR_LIST: {
      c10::List<at::Tensor> list;
      list.reserve(value.count);
      for (size_t i = 0; i < value.count; i++) list.push_back(shim::borrow(value.tensors[i]));
      return list;
    }
    case CT_OPTIONAL_TENSOR_LIST: {
      c10::List<std::optional<at::Tensor>> list;
      list.reserve(value.count);
      for (size_t i = 0; i < value.count; i++) {
        list.push_back(value.tensors[i] == nullptr
                           ? std::optional<at::Tensor>()
                           : std::optional<at::Tensor>(value.tensors[i]->value));
      }
      return list;
    }
    case CT_INT:
      return value.i;
    case CT_INT_LIST:
      return c10::IValue(std::vector<int64_t>(value.ints, value.ints + value.count));
    case CT_DOUBLE:
      return value.d;
    case CT_DOUBLE_LIST:
      return c10::IValue(std::vector<double>(value.doubles, value.doubles + value.count));
    case CT_BOOL:
      return value.b;
    case CT_BOOL_LIST: {
      c10::List<bool> list;
      for (size_t i = 0; i < value.count; i++) list.push_back(value.bools[i]);
      return list;
    }
    case CT_STRING:
      return std::string(value.string, value.count);
    case CT_DEVICE:
      return shim::decode(value.i);
    case CT_GENERATOR:
      return value.generator->value;
    case CT_COMPLEX:
      return c10::complex<double>(value.d, value.imaginary);
  }
  TORCH_CHECK(false, "a value of unknown kind ", static_cast<int>(value.tag));
}

template <typename Element, typename List>
const Element *copy_list(const List &list) {
  auto *copy = new Element[list.size()];
  for (size_t i = 0; i < list.size(); i++) copy[i] = list[i];
  return copy;
}

ct_value from_ivalue(const c10::IValue &value) {
  ct_value result{};
  if (value.isTensor()) {
    const at::Tensor &tensor = value.toTensor();
    result.tag = tensor.defined() ? CT_TENSOR : CT_NONE;
    if (tensor.defined()) result.tensor = shim::own(tensor);
  } else if (value.isTensorList()) {
    const auto list = value.toTensorVector();
    auto *tensors = new ct_tensor[list.size()];
    for (size_t i = 0; i < list.size(); i++) tensors[i] = shim::own(list[i]);
    result.tag = CT_TENSOR_LIST;
    result.count = list.size();
    result.tensors = tensors;
  } else if (value.isInt()) {
    result.tag = CT_INT;
    result.i = value.toInt();
  } else if (value.isDouble()) {
    result.tag = CT_DOUBLE;
    result.d = value.toDouble();
  } else if (value.isBool()) {
    result.tag = CT_BOOL;
    result.b = value.toBool();
  } else if (value.isComplexDouble()) {
    result.tag = CT_COMPLEX;
    result.d = value.toComplexDouble().real();
    result.imaginary = value.toComplexDouble().imag();
  } else if (value.isIntList()) {
    const auto list = value.toIntVector();
    result.tag = CT_INT_LIST;
    result.count = list.size();
    result.ints = copy_list<int64_t>(list);
  } else if (value.isDoubleList()) {
    const auto list = value.toDoubleVector();
    result.tag = CT_DOUBLE_LIST;
    result.count = list.size();
    result.doubles = copy_list<double>(list);
  } else if (value.isString()) {
    const std::string &text = value.toStringRef();
    result.tag = CT_STRING;
    result.count = text.size();
    result.string = shim::copy_string(text);
  } else {
    TORCH_CHECK(value.isNone(), "a result of kind ", value.tagKind(), ", which has no C form");
  }
  return result;
}

}  // namespace

extern "C" ct_error ct_operator_find(const char *name, const char *overload, ct_operator *result) {
  return shim::guarded([&] {
    static std::mutex lock;
    static std::unordered_map<std::string, std::unique_ptr<ct_operator_s>> known;
    const std::lock_guard<std::mutex> guard(lock);
    auto &entry = known[std::string(name) + "." + overload];
    if (entry == nullptr) {
      auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
      TORCH_CHECK(handle.has_value(), "this libtorch has no operator ", name,
                  overload[0] ? "." : "", overload);
      entry = std::make_unique<ct_operator_s>(ct_operator_s{*handle});
    }
    *result = entry.get();
  });
}

extern "C" ct_error ct_operator_schema(ct_operator op, char **result) {
  return shim::guarded([&] { *result = shim::copy_string(toString(op->handle.schema())); });
}

extern "C" ct_error ct_operator_call(ct_operator op, const ct_value *arguments,
                                     size_t argument_count, ct_value *results,
                                     size_t *result_count) {
  return shim::guarded([&] {
    const auto &schema = op->handle.schema();
    const auto &expected = schema.arguments();
    TORCH_CHECK(argument_count <= expected.size(), "takes ", expected.size(),
                " arguments, was given ", argument_count);
    torch::jit::Stack stack;
    stack.reserve(expected.size());
    for (size_t i = 0; i < argument_count; i++) {
      stack.push_back(to_ivalue(arguments[i]));
      // An unboxed kernel asserts on a wrong kind without naming it, so name it here.
      const auto &type = *expected[i].type();
      // The type of a value is only made in the end: a tensor's holds its sizes and takes longer than a small operator.
      TORCH_CHECK(type.kind() != c10::TensorType::Kind || stack.back().isTensor() ||
                      stack.back().type()->isSubtypeOf(type),
                  "argument ", i, " (", expected[i].name(), ") must be ", type.str());
    }
    for (size_t i = argument_count; i < expected.size(); i++) {
      TORCH_CHECK(expected[i].default_value().has_value(), "argument ", i, " (",
                  expected[i].name(), ") is missing and has no default");
      stack.push_back(*expected[i].default_value());
    }
    op->handle.callBoxed(stack);
    TORCH_CHECK(stack.size() <= *result_count, "gives ", stack.size(), " results, there is room for ",
                *result_count);
    size_t written = 0;
    try {
      for (const auto &value : stack) {
        results[written] = from_ivalue(value);
        written++;
      }
    } catch (...) {
      for (size_t i = 0; i < written; i++) {
        if (results[i].tag == CT_TENSOR) ct_tensor_free(results[i].tensor);
        if (results[i].tag == CT_TENSOR_LIST) {
          for (size_t k = 0; k < results[i].count; k++) ct_tensor_free(results[i].tensors[k]);
        }
        ct_value_free(&results[i]);
      }
      throw;
    }
    *result_count = written;
  });
}
