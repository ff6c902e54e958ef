// PyTorch is built with Gloo; its header asks.
#define USE_C10D_GLOO

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "Internal.h"

struct ct_store_s {
  c10::intrusive_ptr<c10d::Store> value;
};

struct ct_group_s {
  c10::intrusive_ptr<c10d::Backend> value;
};

struct ct_work_s {
  c10::intrusive_ptr<c10d::Work> value;
  // Their memory must last as long as the work.
  at::Tensor output, input;
};

extern "C" ct_error ct_store_connect(const char *host, uint16_t port, bool serves, int64_t timeout_ms,
                                     ct_store *result) {
  return shim::guarded([&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serves;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    *result = new ct_store_s{c10::make_intrusive<c10d::TCPStore>(host, options)};
  });
}

extern "C" ct_error ct_store_prefixed(ct_store store, const char *prefix, ct_store *result) {
  return shim::guarded(
      [&] { *result = new ct_store_s{c10::make_intrusive<c10d::PrefixStore>(prefix, store->value)}; });
}

extern "C" void ct_store_free(ct_store store) { delete store; }

extern "C" ct_error ct_store_set(ct_store store, const char *key, const uint8_t *bytes, size_t count) {
  return shim::guarded([&] { store->value->set(key, std::vector<uint8_t>(bytes, bytes + count)); });
}

extern "C" ct_error ct_store_get(ct_store store, const char *key, int64_t timeout_ms, char **bytes,
                                 size_t *count) {
  return shim::guarded([&] {
    store->value->wait({key}, std::chrono::milliseconds(timeout_ms));
    const auto found = store->value->get(key);
    *bytes = shim::copy_string(reinterpret_cast<const char *>(found.data()), found.size());
    *count = found.size();
  });
}

extern "C" ct_error ct_store_has(ct_store store, const char *key, bool *result) {
  return shim::guarded([&] { *result = store->value->check({key}); });
}

extern "C" ct_error ct_group_make(ct_store store, int32_t rank, int32_t size, const char *address,
                                  bool is_interface, int64_t timeout_ms, ct_group *result) {
  return shim::guarded([&] {
    using Gloo = c10d::ProcessGroupGloo;
    auto options = Gloo::Options::create(std::chrono::milliseconds(timeout_ms));
    options->devices.push_back(is_interface ? Gloo::createDeviceForInterface(address)
                                            : Gloo::createDeviceForHostname(address));
    *result = new ct_group_s{c10::make_intrusive<Gloo>(store->value, rank, size, options)};
  });
}

extern "C" void ct_group_free(ct_group group) { delete group; }

extern "C" ct_error ct_group_gather(ct_group group, ct_tensor output, ct_tensor input, ct_work *result) {
  return shim::guarded([&] {
    auto to = shim::borrow(output), from = shim::borrow(input);
    *result = new ct_work_s{group->value->_allgather_base(to, from), to, from};
  });
}

extern "C" ct_error ct_group_exchange(ct_group group, ct_tensor output, ct_tensor input, ct_work *result) {
  return shim::guarded([&] {
    auto to = shim::borrow(output), from = shim::borrow(input);
    std::vector<int64_t> equal;
    *result = new ct_work_s{group->value->alltoall_base(to, from, equal, equal), to, from};
  });
}

extern "C" ct_error ct_group_broadcast(ct_group group, ct_tensor tensor, ct_work *result) {
  return shim::guarded([&] {
    std::vector<at::Tensor> tensors = {shim::borrow(tensor)};
    *result = new ct_work_s{group->value->broadcast(tensors), tensors[0], {}};
  });
}

extern "C" ct_error ct_work_wait(ct_work work) {
  return shim::guarded([&] { work->value->wait(); });
}

extern "C" void ct_work_free(ct_work work) { delete work; }
