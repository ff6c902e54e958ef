#include <memory>

#include "Failure.h"

// As NVRTC's documentation declares them.
using nvrtcProgram = struct nvrtc_program *;

struct cc_compiler_s {
  int (*version)(int *, int *);
  int (*create)(nvrtcProgram *, const char *, const char *, int, const char *const *, const char *const *);
  int (*destroy)(nvrtcProgram *);
  int (*compile)(nvrtcProgram, int, const char *const *);
  int (*log_size)(nvrtcProgram, size_t *);
  int (*log)(nvrtcProgram, char *);
  int (*image_size)(nvrtcProgram, size_t *);
  int (*image)(nvrtcProgram, char *);
  const char *(*describe)(int);
};

namespace {

constexpr int compilation_failed = 6;

cc_error failed(cc_compiler compiler, const char *what, int status) {
  return shim::failure(CC_FAILED, std::string("NVRTC's ") + what + " failed: " + compiler->describe(status));
}

std::string log_of(cc_compiler compiler, nvrtcProgram program) {
  size_t size = 0;
  if (compiler->log_size(program, &size) != 0 || size == 0) return "";
  std::string text(size, 0);
  if (compiler->log(program, text.data()) != 0) return "";
  text.resize(std::strlen(text.c_str()));
  return text;
}

}  // namespace

extern "C" void cc_error_free(cc_error error) {
  if (error != nullptr) std::free(error->message);
  std::free(error);
}

extern "C" cc_error cc_compiler_open(const char *path, cc_compiler *result) {
  void *library;
  if (auto error = shim::open(path, &library)) return error;
  auto compiler = std::make_unique<cc_compiler_s>();
  cc_error error = nullptr;
  if ((error = shim::find(library, "nvrtcVersion", compiler->version)) ||
      (error = shim::find(library, "nvrtcCreateProgram", compiler->create)) ||
      (error = shim::find(library, "nvrtcDestroyProgram", compiler->destroy)) ||
      (error = shim::find(library, "nvrtcCompileProgram", compiler->compile)) ||
      (error = shim::find(library, "nvrtcGetProgramLogSize", compiler->log_size)) ||
      (error = shim::find(library, "nvrtcGetProgramLog", compiler->log)) ||
      (error = shim::find(library, "nvrtcGetCUBINSize", compiler->image_size)) ||
      (error = shim::find(library, "nvrtcGetCUBIN", compiler->image)) ||
      (error = shim::find(library, "nvrtcGetErrorString", compiler->describe))) {
    return error;
  }
  *result = compiler.release();
  return nullptr;
}

extern "C" cc_error cc_compiler_version(cc_compiler compiler, int *major, int *minor) {
  const int status = compiler->version(major, minor);
  return status == 0 ? nullptr : failed(compiler, "nvrtcVersion", status);
}

extern "C" cc_error cc_compile(cc_compiler compiler, const char *source, const char *name,
                               const char *const *options, size_t option_count, void **image, size_t *size) {
  nvrtcProgram program;
  int status = compiler->create(&program, source, name, 0, nullptr, nullptr);
  if (status != 0) return failed(compiler, "nvrtcCreateProgram", status);
  cc_error error = nullptr;
  status = compiler->compile(program, static_cast<int>(option_count), options);
  if (status == compilation_failed) {
    error = shim::failure(CC_SOURCE, log_of(compiler, program));
  } else if (status != 0) {
    error = failed(compiler, "nvrtcCompileProgram", status);
  } else if ((status = compiler->image_size(program, size)) != 0 || *size == 0) {
    error = failed(compiler, "nvrtcGetCUBINSize", status);
  } else {
    *image = std::malloc(*size);
    if (*image == nullptr) {
      error = shim::failure(CC_FAILED, "out of memory");
    } else if ((status = compiler->image(program, static_cast<char *>(*image))) != 0) {
      std::free(*image);
      error = failed(compiler, "nvrtcGetCUBIN", status);
    }
  }
  compiler->destroy(&program);
  return error;
}

extern "C" void cc_image_free(void *image) { std::free(image); }
