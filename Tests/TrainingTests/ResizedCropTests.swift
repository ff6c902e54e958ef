import Datasets
import Foundation
import NN
import Randomness
import Testing
import Torch

@testable import Training

@Suite struct ResizedCropTests {
  static let archive = Result {
    try TensorArchive(path: Bundle.module.path(forResource: "Fixtures/resized-crops", ofType: "safetensors")!)
  }

  /// A draw of given boxes and flips.
  static func draw(_ boxes: [(Box, isFlipped: Bool)], width: Int) -> CropFlip.Draw {
    var draw = CropFlip.Draw()
    for (box, isFlipped) in boxes { draw.append(box, isFlipped: isFlipped, width: width) }
    return draw
  }

  static func numbers(_ draw: CropFlip.Draw, _ device: Device = .cpu) -> Tensor {
    Tensor(draw.tops + draw.starts + draw.signs, shape: [3, draw.tops.count, 1], device: device)
  }

  /// Pillow's numbers in float32 to 1e-3 of 255, and its bytes, which it rounds twice, to one.
  @Test(arguments: Device.kinds) func agreesWithPillow(device: Device) throws {
    let archive = try Self.archive.get()
    #expect(archive.metadata["pillow"]?.hasPrefix("13.") == true)
    let images = try archive.tensor("images")
    let boxes = try archive.tensor("boxes").array(Int.self)
    let shape = images.shape
    let draw = Self.draw(
      (0..<shape[0]).map { image in
        let numbers = boxes[5 * image..<5 * image + 5].map { $0 }
        return (
          Box(
            rows: numbers[0]..<numbers[0] + numbers[2], columns: numbers[1]..<numbers[1] + numbers[3]),
          numbers[4] == 1
        )
      }, width: shape[2])
    let found = ResizedCrop()(images.to(device), Self.numbers(draw, device)).to(.cpu)
    #expect(found.shape == shape && found.dtype == .float32 && found.isContiguous())
    func largest(_ name: String) throws -> Double {
      let expected = try archive.tensor(name).array(Double.self)
      return zip(try found.array(Double.self), expected).map { abs($0 - $1) }.max()!
    }
    #expect(try largest("numbers") < 1e-3)
    #expect(try largest("bytes") <= 1)
  }

  /// The whole image at its own size stays as it is, or is turned round.
  @Test func wholeImages() throws {
    let shape = [2, 5, 4, 3]
    let bytes = (0..<120).map { UInt8($0 * 2) }
    let whole = Box(rows: 0..<5, columns: 0..<4)
    let draw = Self.draw([(whole, false), (whole, true)], width: 4)
    let found = try ResizedCrop()(Tensor(bytes, shape: shape), Self.numbers(draw)).array(Float.self)
    #expect(found[..<60].elementsEqual(bytes[..<60].map(Float.init)))
    for row in 0..<5 {
      for column in 0..<4 {
        for channel in 0..<3 {
          let (here, there) = (
            60 + (row * 4 + column) * 3 + channel, 60 + (row * 4 + 3 - column) * 3 + channel
          )
          #expect(found[here] == Float(bytes[there]))
        }
      }
    }
  }

  /// Shares of the area and ratios as they were asked for, but for rounding to pixels; all of them occur.
  @Test func boxes() {
    // All of them fit.
    let crop = ResizedCrop(scale: 0.2...0.6, ratio: 0.8...1.25)
    let shape = ImageShape(height: 200, width: 240, channels: 3)
    var stream = RandomStream(seed: 4)
    var shares: [Double] = []
    var logarithm = 0.0
    for _ in 0..<2000 {
      let box = crop.box(shape, &stream)
      #expect(box.rows.lowerBound >= 0 && box.rows.upperBound <= 200)
      #expect(box.columns.lowerBound >= 0 && box.columns.upperBound <= 240)
      let ratio = Double(box.columns.count) / Double(box.rows.count)
      #expect((0.78...1.28).contains(ratio))
      logarithm += log(ratio) / 2000
      shares.append(Double(box.area) / 48_000)
    }
    #expect(shares.allSatisfy { (0.19...0.61).contains($0) })
    #expect(shares.min()! < 0.21 && shares.max()! > 0.59)
    // Five standard errors of uniform laws.
    let mean = shares.reduce(0, +) / 2000
    #expect(abs(mean - 0.4) < 5 * 0.4 / (12 * 2000).squareRoot(), "\(mean)")
    #expect(abs(logarithm) < 5 * 2 * log(1.25) / (12 * 2000).squareRoot(), "\(logarithm)")
  }

  /// Where ten tries fail, the largest part in the middle.
  @Test func fallback() {
    var stream = RandomStream(seed: 0)
    let crop = ResizedCrop(scale: 0.9...1)
    let wide = crop.box(ImageShape(height: 6, width: 100, channels: 1), &stream)
    #expect(wide == Box(rows: 0..<6, columns: 46..<54))
    let high = crop.box(ImageShape(height: 100, width: 6, channels: 1), &stream)
    #expect(high == Box(rows: 46..<54, columns: 0..<6))
  }

  /// Drawn from the step's stream alone, flips as often as not.
  @Test func draws() {
    let shape = ImageShape(height: 32, width: 32, channels: 3)
    var (one, other) = (RandomStream(seed: 1), RandomStream(seed: 1))
    let draw = ResizedCrop().draw(count: 400, shape, &one)
    #expect(draw == ResizedCrop().draw(count: 400, shape, &other))
    let flips = draw.signs.count { $0 >> 32 == -1 }
    #expect((150...250).contains(flips) && Set(draw.signs).count == 2)
  }

  /// With whatever mixes, in recorded steps as in plain ones.
  @Test(arguments: [nil, Mixup.Kind.blend, .cut]) func recordedSteps(kind: Mixup.Kind?) throws {
    func trained(_ recorder: Repeater?) throws -> [String: Data] {
      let fixture = try LoopFixture()
      var planner = fixture.planner
      planner.cropFlip = nil
      planner.resizedCrop = ResizedCrop(scale: 0.3...1)
      planner.mixup = kind.map { Mixup($0, alpha: 1, perSample: true) }
      let batches = BatchAssembly(
        fixture.dataset.training, classes: 3, normalization: fixture.network.normalization,
        resizedCrop: planner.resizedCrop)
      let step = TrainingStep(
        fixture.network.model, SGD(fixture.network.model.variables, momentum: 0.9, weightDecay: 1e-4), batches
      )
      let stepper: any Stepper = recorder.map { RecordedStep(step, $0) } ?? step
      _ = try TrainingLoop(stepper, planner).run()
      return try fixture.weights()
    }
    let recorder = Repeater()
    #expect(try trained(recorder) == trained(nil) && recorder.recordings == 1)
  }
}
