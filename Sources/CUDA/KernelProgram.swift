import Foundation
import Torch

/// A file of kernels, which is compiled as one.
public enum KernelProgram: String, CaseIterable, Sendable {
  case batchNorm = "BatchNorm"
  case layerNorm = "LayerNorm"
  case biasGelu = "BiasGelu"
  case totals = "Totals"
  case optimizer = "Optimizer"
  case batch = "Batch"
  case loss = "Loss"

  /// Its text, with what all files share in front.
  public var source: String {
    let own =
      switch self {
      case .batchNorm: PackageResources.BatchNorm_cu
      case .layerNorm: PackageResources.LayerNorm_cu
      case .biasGelu: PackageResources.BiasGelu_cu
      case .totals: PackageResources.Totals_cu
      case .optimizer: PackageResources.Optimizer_cu
      case .batch: PackageResources.Batch_cu
      case .loss: PackageResources.Loss_cu
      }
    return String(decoding: PackageResources.Common_cuh, as: UTF8.self) + "\n"
      + String(decoding: own, as: UTF8.self)
  }
}

/// One kernel of a file.
public struct Kernel: Hashable, Sendable {
  /// The file that it is in.
  public let program: KernelProgram
  /// Its name there.
  public let name: String

  /// A kernel that exists once.
  public init(_ program: KernelProgram, _ name: String) {
    self.program = program
    self.name = name
  }

  /// The kernel for elements of a type, `float32` or `bfloat16`.
  public init(_ program: KernelProgram, _ name: String, of type: DType) {
    self.init(program, "\(name)_\(type == .bfloat16 ? "bf16" : "f32")")
  }
}
