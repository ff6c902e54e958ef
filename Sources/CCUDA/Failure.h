// How failures are made, and functions of libraries found.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "CCUDA.h"

namespace shim {

inline cc_error failure(cc_code code, const std::string &message) {
  auto *error = static_cast<cc_error>(std::malloc(sizeof(cc_failure)));
  char *copy = strdup(message.c_str());
  if (error == nullptr || copy == nullptr) std::abort();  // a few bytes: nothing could be reported either
  *error = {code, copy};
  return error;
}

/// Opens a library for good.
inline cc_error open(const char *path, void **result) {
  *result = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (*result != nullptr) return nullptr;
  const char *reason = dlerror();
  return failure(CC_NO_LIBRARY, reason == nullptr ? path : reason);
}

/// Finds a function in a library or in those that it needs.
template <typename Function>
cc_error find(void *library, const char *name, Function *&result) {
  result = reinterpret_cast<Function *>(dlsym(library, name));
  if (result != nullptr) return nullptr;
  return failure(CC_NO_LIBRARY, std::string("the library has no ") + name);
}

}  // namespace shim
