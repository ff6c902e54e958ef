import Datasets
import Foundation
import Randomness
import Testing
import Torch
import Training

@Suite struct CropFlipTests {
  /// Two-channel images of numbered pixels, so that every crop can be told from every other.
  static let height = 5
  static let width = 4
  static func images(_ count: Int) -> Tensor {
    let pixels = (0..<count).flatMap { _ in (1...UInt8(height * width)).flatMap { [$0, $0 + 100] } }
    return Tensor(pixels, shape: [count, height, width, 2])
  }

  /// What one crop of one image must be.
  static func expected(top: Int, left: Int, flip: Bool, padding: Int) -> [UInt8] {
    (0..<height).flatMap { row in
      (0..<width).flatMap { column -> [UInt8] in
        let y = top + row - padding
        let x = left + (flip ? width - 1 - column : column) - padding
        guard (0..<height).contains(y), (0..<width).contains(x) else { return [0, 0] }
        let value = UInt8(y * width + x + 1)
        return [value, value + 100]
      }
    }
  }

  @Test(arguments: [0, 1, 2], Device.kinds)
  func everyImageIsOneCropAndEveryCropOccurs(padding: Int, device: Device) throws {
    var stream = RandomStream(seed: 3)
    let count = 600
    let result = try CropFlip(padding: padding)(Self.images(count).to(device), &stream).array(UInt8.self)
    let length = 2 * Self.height * Self.width
    var seen: [[UInt8]: Int] = [:]
    for index in 0..<count { seen[Array(result[index * length..<(index + 1) * length]), default: 0] += 1 }
    let crops = (0...2 * padding).flatMap { top in
      (0...2 * padding).flatMap { left in
        [false, true].map { Self.expected(top: top, left: left, flip: $0, padding: padding) }
      }
    }
    #expect(Set(seen.keys) == Set(crops))
    // Each is equally likely: no count strays further than five standard deviations.
    let mean = Double(count) / Double(crops.count)
    for crop in crops { #expect(abs(Double(seen[crop]!) - mean) < 5 * mean.squareRoot()) }
  }

  @Test func reproducible() throws {
    var first = RandomStream(seed: 3)
    var second = RandomStream(seed: 3)
    let a = try CropFlip(padding: 2)(Self.images(20), &first).array(UInt8.self)
    let b = try CropFlip(padding: 2)(Self.images(20), &second).array(UInt8.self)
    #expect(a == b)
  }
}

@Suite struct NormalizationTests {
  @Test(arguments: Device.kinds) func meansAndDeviations(device: Device) throws {
    var stream = RandomStream(seed: 5)
    let pixels = (0..<7 * 4 * 3 * 2).map { UInt8(stream.nextInt(below: $0 % 2 == 0 ? 256 : 90)) }
    let images = Tensor(pixels, shape: [7, 4, 3, 2])
    let shape = ImageShape(height: 4, width: 3, channels: 2)
    let set = ImageSet(pixels: Data(pixels), shape: shape, labels: Array(repeating: 0, count: 7))
    let normalization = try Normalization(of: set)
    let normal = normalization(images.to(device))
    #expect(normal.shape == [7, 2, 4, 3] && normal.isContiguous(.channelsLast))
    let values = try normal.to(.float64).array(Double.self)
    for channel in 0..<2 {
      let own = pixels.enumerated().filter { $0.offset % 2 == channel }.map { Double($0.element) / 255 }
      let mean = own.reduce(0, +) / Double(own.count)
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(own.count)
      #expect(abs(normalization.mean[channel] - mean) < 1e-12)
      #expect(abs(normalization.deviation[channel] - variance.squareRoot()) < 1e-12)
      // Pixel (image 3, row 2, column 1).
      let place = ((3 * 4 + 2) * 3 + 1) * 2 + channel
      let expected = (Double(pixels[place]) / 255 - mean) / variance.squareRoot()
      #expect(abs(values[((3 * 2 + channel) * 4 + 2) * 3 + 1] - expected) < 1e-5)
    }
  }
}

@Suite struct MixupTests {
  @Test func plans() {
    var lambdas = RandomStream(seed: 1)
    var partners = RandomStream(seed: 2)
    let shared = Mixup(alpha: 0.4, perSample: false).plan(
      count: 50, size: (4, 4), lambdas: &lambdas, partners: &partners)
    #expect(Set(shared.lambdas).count == 1 && lambdas.position > 0)
    #expect(shared.partners.sorted() == Array(0..<50) && shared.partners != Array(0..<50))
    let own = Mixup(alpha: 0.4, perSample: true).plan(
      count: 50, size: (4, 4), lambdas: &lambdas, partners: &partners)
    #expect(Set(own.lambdas).count == 50 && own.lambdas.allSatisfy { (0...1).contains($0) })
    #expect(own.partners != shared.partners)
  }

  /// Boxes lie inside, λ is the share that is left, and its mean is that of the weights drawn.
  @Test func boxes() {
    var lambdas = RandomStream(seed: 3)
    var partners = RandomStream(seed: 4)
    let size = (height: 32, width: 24)
    let plan = Mixup(.cut, alpha: 1, perSample: true).plan(
      count: 4000, size: size, lambdas: &lambdas, partners: &partners)
    let boxes = plan.boxes ?? []
    #expect(boxes.count == 4000 && Set(boxes.map(\.area)).count > 100)
    for (box, lambda) in zip(boxes, plan.lambdas) {
      #expect(box.rows.lowerBound >= 0 && box.rows.upperBound <= 32)
      #expect(box.columns.lowerBound >= 0 && box.columns.upperBound <= 24)
      #expect(lambda == 1 - Double(box.area) / (32 * 24))
    }
    // A side r = √(1−λ) with its centre anywhere has r − r²/4 inside, so the mean area is
    // E (√u − u/4)² = ½ − ⅕ + 1/48 for a uniform u.
    let mean = plan.lambdas.reduce(0, +) / 4000
    #expect(abs(mean - (1 - 0.3208)) < 0.02)
    let one = Mixup(.cut, alpha: 1, perSample: false).plan(
      count: 9, size: size, lambdas: &lambdas, partners: &partners)
    #expect(Set(one.lambdas).count == 1 && one.boxes?.allSatisfy { $0 == one.boxes?[0] } == true)
    #expect(
      Mixup(alpha: 1, perSample: true).plan(
        count: 3, size: size, lambdas: &lambdas, partners: &partners
      ).boxes == nil)
  }

  @Test(arguments: Device.kinds) func cuts(device: Device) throws {
    let plan = MixingPlan(
      lambdas: [0.75, 1], partners: [1, 0],
      boxes: [Box(rows: 0..<1, columns: 1..<2), Box(rows: 0..<0, columns: 0..<2)])
    let images = Tensor(
      [Float](arrayLiteral: 1, 2, 3, 4, 10, 20, 30, 40), shape: [2, 1, 2, 2], device: device)
    #expect(try plan.mix(images: images).array(Float.self) == [1, 20, 3, 4, 10, 20, 30, 40])
    let targets = Tensor([0, 1], device: device).oneHot(classes: 2).to(.float32)
    #expect(try plan.mix(targets).array(Float.self) == [0.75, 0.25, 0, 1])
  }

  @Test(arguments: Device.kinds) func mixes(device: Device) throws {
    let plan = MixingPlan(lambdas: [1, 0.25, 0], partners: [1, 2, 0])
    let batch = Tensor([Float](arrayLiteral: 1, 2, 10, 20, 100, 200), shape: [3, 1, 2, 1], device: device)
    #expect(try plan.mix(batch).array(Float.self) == [1, 2, 77.5, 155, 1, 2])
    let targets = Tensor([0, 1, 2], device: device).oneHot(classes: 3).to(.float32)
    #expect(try plan.mix(targets).array(Float.self) == [1, 0, 0, 0, 0.25, 0.75, 1, 0, 0])
  }
}
