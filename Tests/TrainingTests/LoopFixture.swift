import Datasets
import Foundation
import Models
import NN
import TestSupport
import Torch

@testable import Training

/// A small network on a small data set, made of the public rooms alone.
struct LoopFixture {
  var dataset: DeviceDataset
  let network: Network

  init(
    _ device: Device = .cpu, model: String = "wrn-10-1", dtype: DType = .float32,
    kernels: (any KernelBackend)? = nil
  ) throws {
    func set(_ count: Int, seed: UInt64) -> ImageSet {
      let images = SyntheticImages(count: count, seed: seed)
      return ImageSet(
        pixels: Data(images.images), shape: ImageShape(height: 12, width: 12, channels: 1),
        labels: images.labels.map(Int.init))
    }
    let source = try ImageDataset(
      name: "squares", classNames: ["top", "middle", "bottom"], training: set(96, seed: 1),
      test: set(30, seed: 2),
      origin: "made")
    dataset = try DeviceDataset(source, on: device)
    let model = try ModelRegistry.make(
      model, channels: 1, classes: 3, imageSize: ImageSize(height: 12, width: 12), seed: 3, device: device,
      kernels: kernels)
    network = Network(model, source.normalization, dtype: dtype)
  }

  var planner: StepPlanner {
    var planner = StepPlanner(
      dataset.source.training, batchSize: 16, epochs: 2, learningRate: 0.05, streams: RunStreams(seed: 5))
    planner.cropFlip = CropFlip(padding: 1)
    planner.mixup = Mixup(alpha: 1, perSample: true)
    return planner
  }

  func step(
    parts: BatchParts = BatchParts(1), loss: Loss = .crossEntropy, _ optimizer: (any Optimizer)? = nil
  ) -> TrainingStep {
    let batches = BatchAssembly(
      dataset.training, classes: 3, normalization: network.normalization, cropFlip: CropFlip(padding: 1),
      dtype: network.dtype)
    return TrainingStep(
      network.model, optimizer ?? SGD(network.model.variables, momentum: 0.9, weightDecay: 1e-4), batches,
      loss: loss, dtype: network.dtype, parts: parts)
  }

  func weights() throws -> [String: Data] {
    try network.model.variables.snapshot().mapValues { try $0.bytes() }
  }
}
