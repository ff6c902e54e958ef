import EmulatedCUDA
import Models
import NN
import Testing
import Torch

@testable import Training

/// Steps of whole networks by the CUDA kernels, emulated, against libtorch's operators.
@Suite struct CUDAStepTests {
  static let mixings: [Mixup?] = [
    nil, Mixup(alpha: 1, perSample: true), Mixup(.cut, alpha: 1, perSample: true),
  ]

  /// The kernel assembles what the operators assemble, to the bit.
  @Test(arguments: mixings, [DType.float32, .bfloat16]) func assembles(mixup: Mixup?, dtype: DType) throws {
    for (crops, layers) in [(true, [0]), (false, [0]), (true, [1])] {
      let fixture = try LoopFixture(dtype: dtype)
      var planner = fixture.planner
      planner.mixup = mixup
      planner.layers = layers
      if !crops { planner.cropFlip = nil }
      let inputs = try StepInputs(batchSize: 16, device: .cpu)
      try inputs.fill(planner.numbers(planner.order(epoch: 0), epoch: 0, step: 2))
      let batches = BatchAssembly(
        fixture.dataset.training, classes: 3, normalization: fixture.network.normalization,
        cropFlip: CropFlip(padding: 1), smoothing: 0.1, dtype: dtype)
      let expected = try batches(inputs)
      let found = try batches(inputs, CUDAKernels(EmulatedLauncher()))
      #expect(found.images.dtype == dtype && found.images.isContiguous(.channelsLast))
      #expect(found.images.shape == expected.images.shape)
      #expect(try found.images.array(Float.self) == expected.images.array(Float.self))
      #expect(try found.targets.array(Float.self) == expected.targets.array(Float.self))
      #expect((found.alteration == nil) == (expected.alteration == nil))
    }
  }

  /// Three steps come to the weights of libtorch's operators, to what rounding leaves.
  @Test(arguments: ["wrn-10-1", "vit-xs-4"], Loss.allCases) func trains(model: String, loss: Loss) throws {
    func trained(_ kernels: any KernelBackend, _ recorder: (any Recorder)? = nil) throws -> [[Double]] {
      let fixture = try LoopFixture(model: model, kernels: kernels)
      let variables = fixture.network.model.variables
      let step = fixture.step(
        loss: loss,
        model == "vit-xs-4"
          ? Adam(variables, weightDecay: 0.05, decay: .decoupled)
          : SGD(variables, momentum: 0.9, weightDecay: 1e-4))
      var planner = fixture.planner
      planner.learningRate = model == "vit-xs-4" ? 1e-4 : 0.01
      let loop = try TrainingLoop(step, planner)
      _ = try loop.run { loop.stepsDone == 3 }
      return try variables.entries.map { try $0.tensor.detached().array(Double.self) }
    }
    let (found, expected) = try (trained(CUDAKernels(EmulatedLauncher())), trained(LibtorchKernels()))
    let start = try LoopFixture(model: model).network.model.variables.entries.map {
      try $0.tensor.detached().array(Double.self)
    }
    func norm(_ a: [[Double]], _ b: [[Double]]) -> Double {
      zip(a, b).reduce(0) { $0 + zip($1.0, $1.1).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
        .squareRoot()
    }
    let (difference, way) = (norm(found, expected), norm(expected, start))
    #expect(way > 1e-3 && difference < 2e-3 * way, "\(difference) of \(way)")
  }
}
