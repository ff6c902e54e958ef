#include "Internal.h"

extern "C" ct_error ct_error_make(ct_code code, const char *message) { return shim::failure(code, message); }

extern "C" void ct_error_free(ct_error error) {
  if (error != nullptr) std::free(error->message);
  std::free(error);
}

extern "C" void ct_string_free(char *string) { std::free(string); }

extern "C" void ct_value_free(ct_value *value) {
  switch (value->tag) {
    case CT_TENSOR_LIST:
    case CT_OPTIONAL_TENSOR_LIST:
      delete[] value->tensors;
      break;
    case CT_INT_LIST:
      delete[] value->ints;
      break;
    case CT_DOUBLE_LIST:
      delete[] value->doubles;
      break;
    case CT_BOOL_LIST:
      delete[] value->bools;
      break;
    case CT_STRING:
      std::free(const_cast<char *>(value->string));
      break;
    default:
      break;
  }
  value->tag = CT_NONE;
}
