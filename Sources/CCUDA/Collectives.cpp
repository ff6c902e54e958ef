#include "Failure.h"

extern "C" cc_error cc_collectives_open(const char *path, bool only_loaded, cc_collectives *result) {
  if (only_loaded && dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD) == nullptr) {
    return shim::failure(CC_NO_LIBRARY, std::string(path) + ": nothing has loaded it");
  }
  void *library;
  if (auto error = shim::open(path, &library)) return error;
  cc_error error = nullptr;
  if ((error = shim::find(library, "ncclGetVersion", result->version)) ||
      (error = shim::find(library, "ncclGetUniqueId", result->make_unique_id)) ||
      (error = shim::find(library, "ncclCommInitRankConfig", result->make)) ||
      (error = shim::find(library, "ncclCommGetAsyncError", result->get_state)) ||
      (error = shim::find(library, "ncclCommFinalize", result->finalize)) ||
      (error = shim::find(library, "ncclCommDestroy", result->destroy)) ||
      (error = shim::find(library, "ncclCommAbort", result->abort)) ||
      (error = shim::find(library, "ncclGroupStart", result->begin_group)) ||
      (error = shim::find(library, "ncclGroupEnd", result->end_group)) ||
      (error = shim::find(library, "ncclAllGather", result->gather)) ||
      (error = shim::find(library, "ncclSend", result->send)) ||
      (error = shim::find(library, "ncclRecv", result->receive)) ||
      (error = shim::find(library, "ncclGetErrorString", result->describe)) ||
      (error = shim::find(library, "ncclGetLastError", result->last_error))) {
    return error;
  }
  return nullptr;
}
