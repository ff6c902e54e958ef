// What the shim's files share: conversions, and the guard that stops every exception.
#pragma once

#if !__has_include(<ATen/ATen.h>)
#error "libtorch's headers were not found at .collapse/libtorch/include. Run scripts/bootstrap (or any make target) once; it installs libtorch and links it there."
#endif

#include <ATen/ATen.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "CTorch.h"

/// An owned reference, counted so that tests can see leaks.
struct ct_tensor_s {
  explicit ct_tensor_s(at::Tensor tensor);
  ~ct_tensor_s();
  ct_tensor_s(const ct_tensor_s &) = delete;
  ct_tensor_s &operator=(const ct_tensor_s &) = delete;
  at::Tensor value;
};

struct ct_generator_s {
  at::Generator value;
};

namespace shim {

inline char *copy_string(const char *text, size_t length) {
  auto *copy = static_cast<char *>(std::malloc(length + 1));
  if (copy == nullptr) std::abort();  // a few bytes: nothing could be reported either
  std::memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

inline char *copy_string(const std::string &text) { return copy_string(text.data(), text.size()); }

inline ct_error failure(ct_code code, const char *message) {
  auto *error = static_cast<ct_error>(std::malloc(sizeof(ct_failure)));
  if (error == nullptr) std::abort();  // as above
  error->code = code;
  error->message = copy_string(message, std::strlen(message));
  return error;
}

/// Runs `body`; whatever it throws becomes a failure.
template <typename Body>
ct_error guarded(Body &&body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::OutOfMemoryError &error) {
    return failure(CT_OUT_OF_MEMORY, error.what_without_backtrace());
  } catch (const c10::AcceleratorError &error) {
    return failure(CT_DEVICE_FAILED, error.what_without_backtrace());
  } catch (const c10::IndexError &error) {
    return failure(CT_BAD_INDEX, error.what_without_backtrace());
  } catch (const c10::ValueError &error) {
    return failure(CT_BAD_VALUE, error.what_without_backtrace());
  } catch (const c10::TypeError &error) {
    return failure(CT_BAD_TYPE, error.what_without_backtrace());
  } catch (const c10::NotImplementedError &error) {
    return failure(CT_NOT_IMPLEMENTED, error.what_without_backtrace());
  } catch (const c10::LinAlgError &error) {
    return failure(CT_LINEAR_ALGEBRA, error.what_without_backtrace());
  } catch (const c10::Error &error) {
    return failure(CT_OTHER, error.what_without_backtrace());
  } catch (const std::bad_alloc &) {
    return failure(CT_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &error) {
    return failure(CT_OTHER, error.what());
  } catch (...) {
    return failure(CT_OTHER, "an exception of unknown type");
  }
}

inline ct_tensor own(at::Tensor tensor) { return new ct_tensor_s(std::move(tensor)); }

inline at::Tensor borrow(ct_tensor tensor) {
  return tensor == nullptr ? at::Tensor() : tensor->value;
}

inline int64_t encode(c10::Device device) {
  return static_cast<int64_t>(static_cast<uint8_t>(device.type())) |
         (static_cast<int64_t>(device.index() + 1) << 32);
}

inline c10::Device decode(int64_t device) {
  return {static_cast<c10::DeviceType>(device & 0xffffffff),
          static_cast<c10::DeviceIndex>((device >> 32) - 1)};
}

}  // namespace shim
