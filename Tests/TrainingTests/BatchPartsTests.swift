import Foundation
import Models
import NN
import Randomness
import Testing
import ThreadGroups
import Torch

@testable import Training

/// Parts of a batch, and the processes that share them.
@Suite struct BatchPartsTests {
  private static func vectors(_ count: Int, length: Int, _ dtype: DType = .float32) -> [Tensor] {
    var stream = RandomStream(seed: 7)
    return (0..<count).map { _ in
      Tensor((0..<length).map { _ in Float(stream.nextNormal() * 1e3) }).to(dtype)
    }
  }

  /// By its definition: the first as many as the largest power of two below the number, then the rest.
  private static func reference(_ vectors: ArraySlice<Tensor>) -> Tensor {
    if vectors.count == 1 { return vectors.first! }
    let first = [1, 2, 4, 8, 16].last { $0 < vectors.count }!
    return reference(vectors.prefix(first)) + reference(vectors.dropFirst(first))
  }

  /// The sum is the same to the bit, whoever shares the parts, and whether or not the shares are whole sums of it.
  @Test(arguments: [1, 2, 3, 4, 6, 8, 12], [DType.float32, .bfloat16]) func sums(parts: Int, dtype: DType)
    throws
  {
    let length = 37
    let expected = try Self.reference(Self.vectors(parts, length: length, dtype)[...]).to(.float32).array(
      Float.self)
    for size in 1...parts where parts % size == 0 {
      let sums = try ThreadGroup.run(size) { group in
        let shared = BatchParts(parts, sharedBy: size == 1 ? nil : group, sumType: dtype)
        let vectors = Self.vectors(parts, length: length, dtype)
        let padding = shared.paddedLength(length) - length
        var sum = SharedSum(over: shared)
        for part in shared.own {
          try sum.add(.concatenated([vectors[part], .zeros([padding], dtype: dtype)]), of: part)
        }
        try sum.beginExchanging()
        try sum.beginGathering()
        return try sum.finish().narrowed(0..<length).to(.float32).array(Float.self)
      }
      for sum in sums { #expect(sum == expected, "\(parts) parts on \(size)") }
    }
    // From left to right it would be another sum.
    if parts >= 4, dtype == .float32 {
      let plain = Self.vectors(parts, length: length).reduce(Tensor.zeros([length]), +)
      #expect(try plain.array(Float.self) != expected)
    }
  }

  /// A process assembles its images, mixed with partners from anywhere, as they are in the whole batch.
  @Test(
    arguments: [nil, Mixup(alpha: 1, perSample: true), Mixup(.cut, alpha: 1, perSample: true)] as [Mixup?])
  func rowsOfABatch(mixup: Mixup?) throws {
    let fixture = try LoopFixture()
    var planner = fixture.planner
    planner.mixup = mixup
    let batches = BatchAssembly(
      fixture.dataset.training, classes: 3, normalization: fixture.network.normalization,
      cropFlip: CropFlip(padding: 1))
    let numbers = planner.numbers(planner.order(epoch: 0), epoch: 0, step: 1)
    let whole = try StepInputs(batchSize: 16, device: .cpu)
    try whole.fill(numbers)
    let expected = try batches(whole)
    for range in [0..<4, 4..<12, 12..<16] {
      let taken = numbers.taking(range)
      #expect(taken.images.count == (mixup == nil ? 1 : 2) * range.count && taken.rows == range.count)
      let inputs = try StepInputs(batchSize: taken.images.count, rows: range.count, device: .cpu)
      try inputs.fill(taken)
      let batch = try batches(inputs)
      #expect(try batch.images.bytes() == expected.images.narrowed(range).contiguous().bytes())
      #expect(try batch.targets.bytes() == expected.targets.narrowed(range).contiguous().bytes())
    }
  }

  private struct Course: Equatable {
    var weights: [String: Data]
    var losses: [Double]
  }

  private final class Losses: Observer {
    var all: [Double] = []
    func didReadLosses(_ losses: [Double], _: TrainingLoop) { all += losses }
  }

  /// Two epochs of a batch of four parts.
  private static func train(
    _ group: ThreadGroup?, model: String = "wrn-10-1", dtype: DType = .float32, limit: Double? = nil,
    kind: Mixup.Kind = .blend, isStreamed: Bool = false
  ) throws -> Course {
    var fixture = try LoopFixture(model: model, dtype: dtype)
    if isStreamed {
      fixture.dataset = try DeviceDataset(fixture.dataset.source, on: .cpu, residentBytes: 0)
    }
    let variables = fixture.network.model.variables
    let optimizer = SGD(variables, momentum: 0.9, weightDecay: 1e-4, gradientLimit: limit)
    var planner = fixture.planner
    planner.mixup = Mixup(kind, alpha: 1, perSample: true)
    let losses = Losses()
    let step = fixture.step(parts: BatchParts(4, sharedBy: group), optimizer)
    _ = try TrainingLoop(step, planner, observers: [losses]).run()
    return Course(weights: try fixture.weights(), losses: losses.all)
  }

  /// Training comes to the same bits, weights, running statistics and losses, on one process and on several.
  @Test(
    arguments: [
      ("wrn-10-1", DType.float32, nil, Mixup.Kind.blend), ("wrn-10-1", .bfloat16, 0.5, .cut),
      ("vit-xs-4", .float32, 0.5, .blend),
    ] as [(String, DType, Double?, Mixup.Kind)])
  func trains(model: String, dtype: DType, limit: Double?, kind: Mixup.Kind) throws {
    let alone = try Self.train(nil, model: model, dtype: dtype, limit: limit, kind: kind)
    #expect(Set(alone.losses).count > 6)
    for size in [2, 4] {
      let courses = try ThreadGroup.run(size) {
        try Self.train($0, model: model, dtype: dtype, limit: limit, kind: kind)
      }
      for course in courses { #expect(course == alone, "\(size) processes") }
    }
  }

  /// Each process reads the images that it needs, where they are not on the device, and no others.
  @Test(arguments: [Mixup.Kind.blend, .cut]) func streams(kind: Mixup.Kind) throws {
    let alone = try Self.train(nil, kind: kind)
    for course in try ThreadGroup.run(2, { try Self.train($0, kind: kind, isStreamed: true) }) {
      #expect(course == alone)
    }
  }

  /// With statistics of the whole batch, several processes come to what one comes to that takes it in one part, but for
  /// rounding; with those of parts they do not.
  @Test func sharesStatistics() throws {
    @Sendable func weights(_ parts: BatchParts) throws -> [String: [Double]] {
      let fixture = try LoopFixture()
      let inputs = try fixture.step(parts: parts).inputs(for: fixture.planner)
      let step = fixture.step(parts: parts)
      let planner = fixture.planner
      for number in 0..<3 {
        try inputs.fill(step.own(planner.numbers(planner.order(epoch: 0), epoch: 0, step: number)))
        _ = try step(inputs)
      }
      return try fixture.network.model.variables.snapshot().mapValues { try $0.array(Double.self) }
    }
    func distance(_ a: [String: [Double]], _ b: [String: [Double]]) -> Double {
      a.map { name, values in zip(values, b[name]!).map { abs($0 - $1) }.max()! }.max()!
    }
    let one = try weights(BatchParts(1))
    let shared = try ThreadGroup.run(2) { try weights(BatchParts(2, sharedBy: $0, sharesStatistics: true)) }
    let apart = try ThreadGroup.run(2) { try weights(BatchParts(2, sharedBy: $0)) }
    #expect(distance(shared[0], shared[1]) == 0)
    #expect(distance(shared[0], one) < 1e-5)
    #expect(distance(apart[0], one) > 1e-3)
  }

  /// Processes share the batches of an evaluation, also where there are fewer batches than processes.
  @Test(arguments: [2, 3, 5]) func evaluates(size: Int) throws {
    let fixture = try LoopFixture()
    let expected = try fixture.network.accuracy(on: fixture.dataset.test, batchSize: 8)
    let shared = try ThreadGroup.run(size) { group in
      let fixture = try LoopFixture()
      return try fixture.network.accuracy(on: fixture.dataset.test, batchSize: 8, sharedBy: group)
    }
    #expect(shared == Array(repeating: expected, count: size))
  }
}
