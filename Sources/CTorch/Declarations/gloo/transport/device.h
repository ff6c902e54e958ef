// What c10d's header says of Gloo's devices. Gloo itself is in libtorch; its headers are not.
#pragma once

namespace gloo::transport {

class Device;

}  // namespace gloo::transport
