// TorchScript modules for the driver of the shim, which knows nothing of C++'s libtorch itself.
#pragma once

#include <string>

/// What a module gives.
enum class Result { tuple, number };

/// Writes a module with one parameter of two elements.
void write_module(const std::string &path, Result result);
