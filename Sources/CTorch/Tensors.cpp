#include <vector>

#include "Internal.h"

static thread_local int64_t live_tensors = 0;

ct_tensor_s::ct_tensor_s(at::Tensor tensor) : value(std::move(tensor)) { live_tensors++; }
ct_tensor_s::~ct_tensor_s() { live_tensors--; }

extern "C" int64_t ct_live_tensors(void) { return live_tensors; }

extern "C" ct_error ct_tensor_from_bytes(const void *data, size_t bytes, const int64_t *shape,
                                         size_t rank, int32_t dtype, int64_t device, ct_tensor *result) {
  return shim::guarded([&] {
    const auto place = shim::decode(device);
    // A copy from pinned memory need not be waited for, and its allocator keeps the block until it is done.
    const auto options =
        at::TensorOptions().dtype(static_cast<c10::ScalarType>(dtype)).pinned_memory(!place.is_cpu());
    auto tensor = at::empty(at::IntArrayRef(shape, rank), options);
    TORCH_CHECK(tensor.nbytes() == bytes, "a tensor of shape ", at::IntArrayRef(shape, rank), " and type ",
                tensor.scalar_type(), " takes ", tensor.nbytes(), " bytes, was given ", bytes);
    if (data != nullptr && bytes > 0) {
      std::memcpy(tensor.mutable_data_ptr(), data, bytes);
    } else if (bytes > 0) {
      std::memset(tensor.mutable_data_ptr(), 0, bytes);
    }
    *result = shim::own(place.is_cpu() ? std::move(tensor) : tensor.to(place, /*non_blocking=*/true));
  });
}

extern "C" ct_error ct_tensor_overwrite(ct_tensor tensor, const void *data, size_t bytes) {
  return shim::guarded([&] {
    auto &target = tensor->value;
    TORCH_CHECK(target.is_contiguous() && target.nbytes() == bytes, "a contiguous tensor of ", bytes,
                " bytes is needed, this one has ", target.nbytes());
    if (target.is_cpu()) {
      std::memcpy(target.mutable_data_ptr(), data, bytes);
    } else {
      const auto staging = at::empty(target.sizes(), target.options().device(at::kCPU).pinned_memory(true));
      std::memcpy(staging.mutable_data_ptr(), data, bytes);
      target.copy_(staging, /*non_blocking=*/true);
    }
  });
}

extern "C" ct_error ct_tensors_like(const ct_tensor *tensors, size_t count, ct_tensor *results) {
  return shim::guarded([&] {
    std::vector<at::Tensor> made;
    made.reserve(count);
    for (size_t i = 0; i < count; i++) made.push_back(at::empty_like(tensors[i]->value));
    // Only when all are there, so that none is lost.
    for (size_t i = 0; i < count; i++) results[i] = shim::own(std::move(made[i]));
  });
}

extern "C" ct_error ct_tensors_changes(const ct_tensor *tensors, size_t count, int64_t *result) {
  return shim::guarded([&] {
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += static_cast<int64_t>(tensors[i]->value._version());
    *result = sum;
  });
}

extern "C" ct_error ct_tensor_copy_bytes(ct_tensor tensor, void *data, size_t bytes) {
  return shim::guarded([&] {
    const auto source = tensor->value.detach().to(at::kCPU).contiguous();
    TORCH_CHECK(source.nbytes() == bytes, "the tensor holds ", source.nbytes(), " bytes, not ", bytes);
    if (bytes > 0) std::memcpy(data, source.const_data_ptr(), bytes);
  });
}

extern "C" ct_error ct_tensor_address(ct_tensor tensor, void **result) {
  return shim::guarded([&] { *result = tensor->value.data_ptr(); });
}

extern "C" ct_error ct_tensor_retain(ct_tensor tensor, ct_tensor *result) {
  return shim::guarded([&] { *result = shim::own(tensor->value); });
}

extern "C" void ct_tensor_free(ct_tensor tensor) { delete tensor; }

extern "C" size_t ct_tensor_rank(ct_tensor tensor) {
  return static_cast<size_t>(tensor->value.dim());
}

extern "C" void ct_tensor_shape(ct_tensor tensor, int64_t *shape) {
  const auto sizes = tensor->value.sizes();
  std::copy(sizes.begin(), sizes.end(), shape);
}

extern "C" int32_t ct_tensor_dtype(ct_tensor tensor) {
  return static_cast<int32_t>(tensor->value.scalar_type());
}

extern "C" int64_t ct_tensor_device(ct_tensor tensor) { return shim::encode(tensor->value.device()); }

extern "C" size_t ct_tensor_element_size(ct_tensor tensor) { return tensor->value.element_size(); }

extern "C" bool ct_tensor_shares_storage(ct_tensor a, ct_tensor b) {
  return a->value.has_storage() && b->value.has_storage() && a->value.is_alias_of(b->value);
}

extern "C" bool ct_tensor_is_contiguous(ct_tensor tensor, int32_t memory_format) {
  return tensor->value.is_contiguous(static_cast<c10::MemoryFormat>(memory_format));
}
