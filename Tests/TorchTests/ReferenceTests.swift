import Foundation
import Testing

@testable import Torch

/// Values and gradients of PyTorch, made by Tests/References/make_references.py; the file's metadata
/// names the version.
@Suite struct ReferenceTests {
  typealias Case = @Sendable ([Tensor]) -> Tensor

  static let cases: [String: Case] = [
    "add": { $0[0] + $0[1] },
    "add_alpha": { $0[0].adding($0[1], times: 0.5) },
    "sub": { $0[0] - $0[1] },
    "mul": { $0[0] * $0[1] },
    "div": { $0[0] / $0[1] },
    "neg": { -$0[0] },
    "exp": { $0[0].exp() },
    "log": { $0[0].log() },
    "sqrt": { $0[0].squareRoot() },
    "relu": { $0[0].relu() },
    "gelu": { $0[0].gelu() },
    "lerp": { $0[0].lerp(to: $0[1], weight: $0[2]) },
    "where": { $0[1].selected(where: $0[0], else: $0[2]) },
    "matmul": { $0[0].matmul($0[1]) },
    "matmul_batched": { $0[0].matmul($0[1]) },
    "linear": { $0[0].linear($0[1], bias: $0[2]) },
    "conv2d_s1p1": { $0[0].conv2d($0[1], padding: 1) },
    "conv2d_s2p1": { $0[0].conv2d($0[1], stride: 2, padding: 1) },
    "conv2d_1x1_s2": { $0[0].conv2d($0[1], stride: 2) },
    "batch_norm_train": { batchNorm($0, training: true) },
    "batch_norm_eval": { batchNorm($0, training: false) },
    "layer_norm": { $0[0].layerNorm(weight: $0[1], bias: $0[2], epsilon: 1e-5) },
    "mean_hw": { $0[0].mean([2, 3]) },
    "sum_dim1_keepdim": { $0[0].sum([1], keepDimensions: true) },
    "amax_dim1": { $0[0].max([1]) },
    "cumsum_dim0": { $0[0].cumulativeSum(0) },
    "norm_rows": { $0[0].norm([1]) },
    "svd_singular_values": { $0[0].svd().s },
    "softmax_dim1": { $0[0].softmax(1) },
    "log_softmax_dim1": { $0[0].logSoftmax(1) },
    "soft_cross_entropy": { -($0[1] * $0[0].logSoftmax(1)).sum([1]).mean() },
    "mse_sum_mean": { (($0[0] - $0[1]) * ($0[0] - $0[1])).sum([1]).mean() },
    "permute_021": { $0[0].permuted([0, 2, 1]).contiguous() },
    "reshape": { $0[0].reshaped([6, -1]) },
    "cat_dim0": { .concatenated($0) },
    "index_select_dim0": { $0[0].indexSelected($0[1]) },
    "gather_dim1": { $0[0].gathered($0[1], dimension: 1) },
  ]

  static func batchNorm(_ x: [Tensor], training: Bool) -> Tensor {
    x[0].batchNorm(
      weight: x[1], bias: x[2], runningMean: x[3], runningVariance: x[4], training: training, momentum: 0.1,
      epsilon: 1e-5)
  }

  static let archive = Result {
    try TensorArchive(path: Bundle.module.path(forResource: "Fixtures/operators", ofType: "safetensors")!)
  }

  @Test func everyStoredCaseIsTested() throws {
    let stored = Set(try Self.archive.get().tensors.keys.map { String($0.split(separator: ".")[0]) })
    #expect(stored == Set(Self.cases.keys))
    #expect(try Self.archive.get().metadata["torch"]?.hasPrefix("2.13.0") == true)
  }

  @Test(arguments: cases.keys.sorted(), Device.kinds) func valuesAndGradients(name: String, device: Device)
    throws
  {
    let tensors = try Self.archive.get().tensors.mapValues { $0.to(device) }
    let inputs = (0..<9).compactMap { tensors["\(name).in\($0)"]?.clone() }
    #expect(!inputs.isEmpty)
    for (index, input) in inputs.enumerated() where tensors["\(name).grad\(index)"] != nil {
      input.requiringGradient()
    }
    let output = try checkingErrors { Self.cases[name]!(inputs) }
    #expect(try distance(output, tensors["\(name).out"]!) < 1e-5)
    try output.backward(seed: tensors["\(name).grad_out"]!)
    for (index, input) in inputs.enumerated() {
      guard let expected = tensors["\(name).grad\(index)"] else { continue }
      #expect(try distance(#require(input.gradient), expected) < 1e-5)
    }
    if let mean = tensors["\(name).running_mean_after"], let variance = tensors["\(name).running_var_after"] {
      #expect(try distance(inputs[3], mean) < 1e-6)
      #expect(try distance(inputs[4], variance) < 1e-6)
    }
  }

  /// Largest difference of elements, relative to the largest element.
  func distance(_ a: Tensor, _ b: Tensor) throws -> Double {
    #expect(a.shape == b.shape)
    let a = try a.array(Double.self)
    let b = try b.array(Double.self)
    let scale = b.map(abs).max() ?? 1
    return zip(a, b).map { abs($0 - $1) }.max()! / max(scale, 1e-30)
  }
}
