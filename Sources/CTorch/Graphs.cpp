#include <c10/core/impl/VirtualGuardImpl.h>

#include "Graph.h"
#include "Internal.h"

struct ct_graph_s {
  c10::Device device;
  shim::Graph graph;
};

namespace {

/// The stream that is recorded on: streams of a pool are not made anew, and libraries keep memory for each.
c10::Stream side_stream(c10::Device device) {
  thread_local std::vector<std::optional<c10::Stream>> streams;
  const auto index = static_cast<size_t>(std::max<c10::DeviceIndex>(0, device.index()));
  if (streams.size() <= index) streams.resize(index + 1);
  if (!streams[index]) {
    streams[index] = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }
  return *streams[index];
}

/// Makes the side stream the current one, between two waits for the device.
class SideStream {
 public:
  explicit SideStream(c10::Device device) : guard(device.type()), device(device) {
    device_before = guard.exchangeDevice(device);
    guard.synchronizeDevice(device.index());
    stream_before = guard.exchangeStream(side_stream(device));
  }
  ~SideStream() {
    guard.exchangeStream(*stream_before);
    guard.setDevice(*device_before);
  }
  void wait() { guard.synchronizeDevice(device.index()); }

 private:
  c10::impl::VirtualGuardImpl guard;
  c10::Device device;
  std::optional<c10::Device> device_before;
  std::optional<c10::Stream> stream_before;
};

}  // namespace

extern "C" ct_error ct_stream_handle(int64_t device, void **result) {
  return shim::guarded([&] {
    const auto place = shim::decode(device);
    *result = c10::impl::VirtualGuardImpl(place.type()).getStream(place).native_handle();
  });
}

extern "C" ct_error ct_on_side_stream(int64_t device, ct_body body, void *context) {
  ct_error failed = nullptr;
  const ct_error error = shim::guarded([&] {
    SideStream stream(shim::decode(device));
    failed = body(context);
    stream.wait();
  });
  if (failed == nullptr) return error;
  ct_error_free(error);
  return failed;
}

extern "C" ct_error ct_graph_record(int64_t device, ct_body body, void *context, ct_graph *result) {
  ct_error failed = nullptr;
  const ct_error error = shim::guarded([&] {
    const auto place = shim::decode(device);
    SideStream stream(place);
    at::getDeviceAllocator(place.type())->emptyCache();
    auto recording = std::make_unique<ct_graph_s>(ct_graph_s{place, {}});
    recording->graph.begin();
    failed = body(context);
    // Ended in any case: until then nothing else can be done on the device.
    recording->graph.end();
    if (failed == nullptr) *result = recording.release();
  });
  // What ended the recording first, rather than that it could not be ended then.
  if (failed == nullptr) return error;
  ct_error_free(error);
  return failed;
}

extern "C" ct_error ct_graph_replay(ct_graph graph) {
  return shim::guarded([&] {
    const c10::impl::VirtualGuardImpl guard(graph->device.type());
    const auto before = guard.exchangeDevice(graph->device);
    graph->graph.replay();
    guard.setDevice(before);
  });
}

extern "C" void ct_graph_free(ct_graph graph) {
  // Of a device that has failed it cannot be freed; that failure is known already.
  ct_error_free(shim::guarded([&] { delete graph; }));
}
