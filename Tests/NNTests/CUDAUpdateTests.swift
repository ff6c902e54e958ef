import EmulatedCUDA
import Testing
import Torch

@testable import NN

/// Updates by the CUDA kernels, emulated, against libtorch's fused operators.
@Suite struct CUDAUpdateTests {
  static let rules: [UpdateRule] = [
    .sgd(momentum: 0.9, weightDecay: 1e-2, nesterov: false),
    .sgd(momentum: 0.8, weightDecay: 0, nesterov: true),
    .sgd(momentum: 0, weightDecay: 1e-3, nesterov: false),
    .adam(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-2, decoupled: false),
    .adam(beta1: 0.8, beta2: 0.99, epsilon: 1e-6, weightDecay: 0.05, decoupled: true),
  ]

  /// Tensors of many sizes, two of them with gradients in bfloat16 and copies; more than fit one table.
  static let shapes =
    (0..<70).map { $0 < 3 ? [5000, 33, 1][$0...$0].map { $0 } : [3 + $0 % 9, 7] } + [[8, 4, 3, 3]]

  private static func optimizer(_ rule: UpdateRule, _ variables: Variables, limit: Double?) -> any Optimizer {
    switch rule {
    case .sgd(let momentum, let weightDecay, let nesterov):
      SGD(
        variables, momentum: momentum, weightDecay: weightDecay, nesterov: nesterov, gradientLimit: limit)
    case .adam(let beta1, let beta2, let epsilon, let weightDecay, let decoupled):
      Adam(
        variables, betas: (beta1, beta2), epsilon: epsilon, weightDecay: weightDecay,
        decay: decoupled ? .decoupled : .coupled, gradientLimit: limit)
    }
  }

  /// Parameters after four steps; half of the tensors are used in bfloat16.
  private static func trained(_ rule: UpdateRule, _ kernels: any KernelBackend, limit: Double?) throws
    -> [[Double]]
  {
    let variables = try Variables(seed: 1, kernels: kernels)
    let parameters = shapes.enumerated().map { index, shape in
      variables.root.parameter(
        "p\(index)", shape, .normal(standardDeviation: 1), shape.count == 4 ? .channelsLast : .contiguous)
    }
    let optimizer = optimizer(rule, variables, limit: limit)
    for step in 1...4 {
      let scale = try Generator(seed: UInt64(step))
      try variables.computing(in: .bfloat16, leavingGradients: true) {
        var loss = Tensor.zeros([])
        for (index, parameter) in parameters.enumerated() {
          let used =
            index % 2 == 0
            ? variables.root.converted(parameter, to: .bfloat16) : parameter
          let weights = Tensor.normal(parameter.shape, generator: scale).to(used.dtype)
          loss = loss + (used * used * weights).sum().to(.float32)
        }
        try loss.backward()
      }
      let number = Tensor([Float(step)]).reshaped([])
      try optimizer.update(learningRate: Tensor([0.01]).reshaped([]), number: number)
      #expect(parameters.allSatisfy { $0.gradient == nil })
      for parameter in parameters {
        guard let copy = variables.copies.copy(of: parameter) else { continue }
        #expect(copy.gradient == nil)
        if variables.kernels.updates {
          #expect(
            try copy.detached().array(Float.self) == parameter.to(.bfloat16).detached().array(Float.self))
        }
      }
      optimizer.countStep()
    }
    return try parameters.map { try $0.detached().array(Double.self) }
  }

  @Test(arguments: rules, [nil, 0.5, 1e6]) func follows(rule: UpdateRule, limit: Double?) throws {
    let found = try Self.trained(rule, CUDAKernels(EmulatedLauncher()), limit: limit)
    let expected = try Self.trained(rule, LibtorchKernels(), limit: limit)
    for (index, (a, b)) in zip(found, expected).enumerated() {
      let difference = zip(a, b).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
      // Gradients of a network in bfloat16 are rounded before they are scaled, here as there.
      #expect(difference < 2e-5, "tensor \(index): \(difference)")
    }
  }

  /// Weights that are loaded between steps reach the copies, although updates write these.
  @Test func loadedWeightsReachTheCopies() throws {
    let variables = try Variables(seed: 1, kernels: CUDAKernels(EmulatedLauncher()))
    let parameter = variables.root.parameter("p", [16], .constant(1))
    let optimizer = SGD(variables, momentum: 0, weightDecay: 0)
    func step() throws -> Double {
      try variables.prepareStep()
      let loss = try variables.computing(in: .bfloat16, leavingGradients: true) {
        let loss = variables.root.converted(parameter, to: .bfloat16).sum().to(.float32)
        try loss.backward()
        return loss.detached()
      }
      let (rate, number) = (Tensor([Float(0.5)]).reshaped([]), Tensor([Float(1)]).reshaped([]))
      try optimizer.update(learningRate: rate, number: number)
      return try loss.item()
    }
    #expect(try [step(), step()] == [16, 8])
    try variables.load(["p": Tensor.full([16], 4)])
    #expect(try [step(), step()] == [64, 56])
  }
}
