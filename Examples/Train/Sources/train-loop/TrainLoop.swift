// Trains a small WideResNet with mixup on images of noise with bright squares, and measures how its mixtures stand.
import Datasets
import Foundation
import Geometry
import Models
import NN
import Randomness
import Records
import Training

/// Prints a line an epoch.
final class Printer: Observer {
  func measure(_ row: inout MetricRow, _ loop: TrainingLoop) throws { row.testAccuracy = try accuracy() }
  func didFinishEpoch(_ row: MetricRow, _: TrainingLoop) { print(row.line) }

  private let accuracy: () throws -> Double
  init(accuracy: @escaping () throws -> Double) { self.accuracy = accuracy }
}

@main struct TrainLoop {
  /// Images of 12×12 pixels; the height of a bright square says which of three classes they are of.
  static func squares(_ count: Int, _ stream: RandomStream) -> ImageSet {
    var stream = stream
    let labels = (0..<count).map { $0 % 3 }
    let pixels = labels.flatMap { label in
      (0..<144).map { place -> UInt8 in
        let isBright = place / 12 / 4 == label && (4..<8).contains(place % 12)
        return UInt8(stream.nextInt(below: 120) + (isBright ? 100 : 0))
      }
    }
    return ImageSet(
      pixels: Data(pixels), shape: ImageShape(height: 12, width: 12, channels: 1), labels: labels)
  }

  static func main() throws {
    let streams = RunStreams(seed: 1)
    let source = try ImageDataset(
      name: "squares", classNames: ["top", "middle", "bottom"],
      training: squares(960, streams.order(epoch: -1)),
      test: squares(300, streams.order(epoch: -2)), origin: "made")
    let dataset = try DeviceDataset(source, on: .cpu)
    let model = try ModelRegistry.make("wrn-10-1", channels: 1, classes: 3, seed: streams.initialization)
    let network = Network(model, source.normalization)

    let batches = BatchAssembly(dataset.training, classes: 3, normalization: source.normalization)
    let step = TrainingStep(model, SGD(model.variables, momentum: 0.9, weightDecay: 1e-3), batches)
    var planner = StepPlanner(
      source.training, batchSize: 32, epochs: 4, learningRate: 0.05, schedule: .cosine(warmupEpochs: 0),
      streams: streams)
    planner.mixup = Mixup(alpha: 1, perSample: false)
    let printer = Printer { try network.accuracy(on: dataset.test, batchSize: 100) }
    _ = try TrainingLoop(step, planner, observers: [printer]).run()

    let capture = try Capture(.mixtures(MixtureSampling()), of: network, dataset, streams.capture)
    let geometry = try MixtureGeometry(capture.mixtures()!)
    for entry in geometry.numbers.entries { print("\(entry.name) = \(entry.value)") }
    guard geometry.sameClassAlignment > 0.8 else { fatalError("the network has learnt nothing") }
  }
}
