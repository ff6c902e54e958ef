import Foundation
import NN
import Problems
import Randomness
import Records
import TestSupport
import Testing
import Torch

@testable import Datasets
@testable import Training

/// Images that are not on the device, but brought there for each step.
@Suite struct StreamingTests {
  struct Way: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var mixup: Mixup?
    var crop: ResizedCrop?
    var isRecorded = false
    var parts = 1
  }

  static let ways = [
    Way(testDescription: "mixup", mixup: Mixup(alpha: 1, perSample: true)),
    Way(testDescription: "CutMix, in parts", mixup: Mixup(.cut, alpha: 1, perSample: true), parts: 2),
    Way(testDescription: "recorded", mixup: Mixup(alpha: 1, perSample: false), isRecorded: true),
    Way(testDescription: "resized crops", crop: ResizedCrop(), isRecorded: true),
  ]

  /// Streamed images of a fixture's data set, and that on the device.
  private func datasets(_ device: Device) throws -> (LoopFixture, DeviceDataset) {
    let fixture = try LoopFixture(device)
    return (fixture, try DeviceDataset(fixture.dataset.source, on: device, residentBytes: 0))
  }

  /// Two epochs come to the same bits.
  @Test(arguments: ways, Device.kinds) func sameBits(way: Way, device: Device) throws {
    func trained(isStreamed: Bool) throws -> [String: Data] {
      let (fixture, streamed) = try datasets(device)
      let training = isStreamed ? streamed.training : fixture.dataset.training
      #expect((training.resident == nil) == isStreamed && (training.streamed != nil) == isStreamed)
      var planner = fixture.planner
      planner.mixup = way.mixup
      planner.resizedCrop = way.crop
      if way.crop != nil { planner.cropFlip = nil }
      let batches = BatchAssembly(
        training, classes: 3, normalization: fixture.network.normalization, cropFlip: planner.cropFlip,
        resizedCrop: planner.resizedCrop, smoothing: 0.1)
      let step = TrainingStep(
        fixture.network.model, SGD(fixture.network.model.variables, momentum: 0.9, weightDecay: 1e-4),
        batches,
        parts: BatchParts(way.parts))
      let recorder: any Recorder = GraphRecorder(device) ?? Repeater()
      let stepper: any Stepper = way.isRecorded ? RecordedStep(step, recorder) : step
      #expect(try TrainingLoop(stepper, planner).run() == .finished)
      return try fixture.weights()
    }
    #expect(try trained(isStreamed: true) == trained(isStreamed: false))
  }

  /// Evaluation and captures read batch by batch.
  @Test(arguments: Device.kinds) func passes(device: Device) throws {
    let (fixture, streamed) = try datasets(device)
    let network = fixture.network
    #expect(
      try network.logits(of: streamed.test, batchSize: 7).bytes()
        == network.logits(of: fixture.dataset.test, batchSize: 7).bytes())
    var sampling = MixtureSampling()
    sampling.samples = 40
    sampling.batchSize = 13
    var plain = PlainSampling()
    plain.samples = 20
    for kind in [CaptureKind.mixtures(sampling), .plain(plain)] {
      let stream = RunStreams(seed: 3).capture
      let (one, other) = try (
        Capture(kind, of: network, streamed, stream), Capture(kind, of: network, fixture.dataset, stream)
      )
      #expect(one.archive.tensors.keys.sorted() == other.archive.tensors.keys.sorted())
      for (name, tensor) in one.archive.tensors {
        #expect(try tensor.bytes() == other.archive.tensors[name]?.bytes(), "\(name)")
      }
    }
    #expect(
      try streamed.training.narrowed(5..<9).batch(1..<3).array(UInt8.self)
        == fixture.dataset.training.batch(6..<8).array(UInt8.self))
  }

  /// Lists of any lengths and orders, at one address; row k is place k.
  @Test func listsOfPlaces() throws {
    let images = try LoopFixture().dataset.source.training
    let stager = try ImageStager(images, rows: 5, on: .cpu, ahead: 2)
    let address = try stager.staged.pixels.unsafeAddress()
    let lists = [[3, 1, 95, 3, 0], [7, 8, 9], [2], [10, 9, 8, 7, 6], [0, 0, 0, 0, 0]]
    for _ in 0..<2 {
      try stager.begin(lists)
      for places in lists {
        try stager.stage(places)
        #expect(try stager.staged.pixels.unsafeAddress() == address)
        let found = try stager.staged.pixels.narrowed(0..<places.count).bytes()
        #expect(try found == images.selected(places).pixels)
      }
      // Nothing was announced after these.
      for _ in 0..<2 { #expect(throws: Problem.self) { try stager.stage([0]) } }
    }
    try stager.begin(lists)
    try stager.stage(lists[0])
    #expect { try stager.stage([1, 2]) } throws: {
      isProblem($0, .internalError, "not those that were announced")
    }
    try stager.begin([[1, 2, 3, 4, 5, 6]])
    #expect { try stager.stage([1, 2, 3, 4, 5, 6]) } throws: {
      isProblem($0, .internalError, "6 images do not fit in 5 rows")
    }
  }

  /// The places that a thread reads ahead are those of the loop's steps, from wherever it goes on.
  @Test func placesOfSteps() throws {
    var planner = try LoopFixture().planner
    planner.batchSize = 20
    planner.epochs = 3
    func expected(_ epochs: Range<Int>) -> [[Int]] {
      epochs.flatMap { epoch in
        let order = planner.order(epoch: epoch)
        return (0..<4).map { planner.numbers(order, epoch: epoch, step: $0).images }
      }
    }
    #expect(Array(StepPlaces(planner, from: .init())) == expected(0..<3))
    #expect(Array(StepPlaces(planner, from: .init(epoch: 1, step: 3))) == Array(expected(1..<3)[3...]))
    #expect(Array(StepPlaces(planner, from: .init(epoch: 1, step: 4))) == expected(2..<3))
    #expect(Array(StepPlaces(planner, from: .init(epoch: 3))).isEmpty)
  }

  /// A loop that is interrupted goes on where it was; one that is dropped ends its thread.
  @Test func interruption() throws {
    let (fixture, streamed) = try datasets(.cpu)
    func step(_ fixture: LoopFixture) -> TrainingStep {
      let batches = BatchAssembly(
        streamed.training, classes: 3, normalization: fixture.network.normalization,
        cropFlip: CropFlip(padding: 1))
      return TrainingStep(
        fixture.network.model, SGD(fixture.network.model.variables, momentum: 0.9, weightDecay: 1e-4), batches
      )
    }
    let loop = try TrainingLoop(step(fixture), fixture.planner)
    var count = 0
    let outcome = try loop.run {
      count += 1
      return count == 4
    }
    #expect(outcome == .interrupted && loop.stepsDone == 4)
    #expect(try loop.run() == .finished)
    let other = try LoopFixture()
    _ = try TrainingLoop(other.step(), other.planner).run()
    #expect(try fixture.weights() == other.weights())
  }

  /// What the reading thread finds ends training, with its own words.
  @Test func damageEndsTraining() throws {
    let directory = try TemporaryDirectory()
    let (fixture, _) = try datasets(.cpu)
    let made = fixture.dataset.source
    let damaged: ImageSet = try DataCache.$scoped.withValue(directory.file("cache")) {
      let pack = PackedImages("made", of: SourceFiles(directory: "here", files: []))
      _ = try pack.dataset(reporting: { _, _ in }) { made }
      let found = try #require(pack.read(checkedWhole: 0)).training
      let file = try FileHandle(forUpdating: URL(fileURLWithPath: pack.path))
      try file.seek(toOffset: UInt64((1 << 17) + 4096 + 300))
      try file.write(contentsOf: Data([1, 2, 3, 4]))
      try file.close()
      return found
    }
    let streamed = try DeviceImages(damaged, on: .cpu, isResident: false)
    let batches = BatchAssembly(streamed, classes: 3, normalization: fixture.network.normalization)
    let step = TrainingStep(
      fixture.network.model, SGD(fixture.network.model.variables, momentum: 0.9, weightDecay: 1e-4), batches)
    let loop = try TrainingLoop(step, fixture.planner)
    #expect { try loop.run() } throws: { isProblem($0, .damagedPack, "a pack of decoded images, is damaged") }
  }

  /// What is trained on is placed first, then what is held out, and what is left goes to the test images.
  @Test func room() throws {
    let source = try LoopFixture().dataset.source.restricted(validation: 24, RandomStream(seed: 1))
    func resident(_ bytes: Int) throws -> [Bool] {
      let dataset = try DeviceDataset(source, on: .cpu, residentBytes: bytes)
      return [dataset.training, dataset.validation!, dataset.test].map { $0.resident != nil }
    }
    let one = source.shape.bytes
    #expect(try resident(.max) == [true, true, true] && resident(0) == [false, false, false])
    #expect(try resident(72 * one) == [true, false, false] && resident(72 * one - 1) == [false, true, true])
    #expect(try resident(102 * one) == [true, true, false] && resident(126 * one) == [true, true, true])
    #expect(try resident(24 * one) == [false, true, false])
    #expect(try DeviceDataset(source, on: .cpu).note == nil)
    let note = try DeviceDataset(source, on: .cpu, residentBytes: 24 * one).note
    #expect(note == "read as they are needed: training images (0.00 GB), test images (0.00 GB)")
  }

  @Test func missingImages() throws {
    let (fixture, streamed) = try datasets(.cpu)
    let batches = BatchAssembly(streamed.training, classes: 3, normalization: fixture.network.normalization)
    let inputs = try StepInputs(batchSize: 16, device: .cpu)
    try inputs.fill(fixture.planner.numbers(Array(0..<96), epoch: 0, step: 0))
    #expect { try batches(inputs) } throws: { "\($0)".contains("were not brought to the device") }
  }
}
