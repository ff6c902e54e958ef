import CUDA
import CUDATwins
import Torch

/// Runs the CUDA kernels' own sources on the CPU, thread after thread, on CPU tensors.
public struct EmulatedLauncher: KernelLauncher {
  public let device = Device.cpu

  /// The only one of its kind.
  public init() {}

  public func launch(_ kernel: Kernel, _ grid: LaunchGrid, _ arguments: [KernelArgument]) throws {
    let status = try withKernelArguments(arguments) {
      twin_launch(kernel.name, UInt32(grid.x), UInt32(grid.y), UInt32(grid.threads), $0)
    }
    guard status == 0 else {
      throw TorchError(
        operation: kernel.name,
        reason: status == 1
          ? "there is no such kernel" : "the launch is impossible, or its threads do not meet")
    }
  }
}
