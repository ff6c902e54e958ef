import Experiment
import SystemTools
import Torch

extension Configuration.Data {
  /// The most bytes of images that stay on a device: as many as are asked for, or half of what is free there.
  ///
  /// - Throws: `TorchError` if the device does not say.
  func residentBytes(on device: Device) throws -> Int {
    if memory > 0 { return Int(memory * 1e9) }
    let free = try device.memory()?.available ?? HostMemory.available()
    return free.map { $0 / 2 } ?? .max
  }
}
