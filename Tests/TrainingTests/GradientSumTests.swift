import Foundation
import NN
import Problems
import Testing
import ThreadGroups
import Torch

@testable import Training

/// A group that keeps what is asked of it, and may fail.
private final class RecordingGroup: ProcessGroup, @unchecked Sendable {
  private let group: any ProcessGroup
  private let willBegin: (_ number: Int) throws -> Void
  /// What was begun: how, and with which shape.
  private(set) var calls: [String] = []

  /// - Parameter willBegin: told before each call, by its number, and may throw.
  init(_ group: any ProcessGroup, willBegin: @escaping (Int) throws -> Void = { _ in }) {
    self.group = group
    self.willBegin = willBegin
  }

  var rank: Int { group.rank }
  var size: Int { group.size }
  func isAsynchronous(on device: Device) -> Bool { group.isAsynchronous(on: device) }

  func beginGathering(_ tensor: Tensor) throws -> Exchange {
    try willBegin(calls.count)
    calls.append("gather \(tensor.shape)")
    return try group.beginGathering(tensor)
  }

  func beginExchanging(_ tensor: Tensor) throws -> Exchange {
    try willBegin(calls.count)
    calls.append("exchange \(tensor.shape)")
    return try group.beginExchanging(tensor)
  }
}

/// Gradients that are exchanged in buckets while the backward pass goes on.
@Suite struct GradientSumTests {
  /// A network and how a batch of twelve is taken.
  struct Course: Sendable {
    var model = "wrn-10-1"
    var dtype = DType.float32
    var parts = 4
    var sumType = DType.float32

    /// Weights, running statistics and losses after three steps.
    func train(_ group: (any ProcessGroup)?, bucketBytes: Int) throws -> Outcome {
      let fixture = try LoopFixture(model: model, dtype: dtype)
      var planner = fixture.planner
      planner.batchSize = 12
      let step = fixture.step(
        parts: BatchParts(parts, sharedBy: group, sumType: sumType, bucketBytes: bucketBytes))
      let inputs = try step.inputs(for: planner)
      let losses = try (0..<3).map { number in
        try inputs.fill(step.own(planner.numbers(planner.order(epoch: 0), epoch: 0, step: number)))
        return try step(inputs).item()
      }
      return Outcome(weights: try fixture.weights(), losses: losses)
    }
  }

  struct Outcome: Equatable, Sendable {
    var weights: [String: Data]
    var losses: [Double]
  }

  /// One piece, a tensor each, some, and all in one.
  static let sizes = [0, 1, 60_000, 1_000_000_000]

  /// However gradients are cut, and whoever shares the parts, the bits are those of one process.
  @Test(arguments: [
    Course(), Course(parts: 6), Course(parts: 3, sumType: .bfloat16), Course(dtype: .bfloat16),
    Course(dtype: .bfloat16, parts: 6, sumType: .bfloat16), Course(model: "vit-xs-4", dtype: .bfloat16),
  ]) func sameBits(course: Course) throws {
    let alone = try course.train(nil, bucketBytes: 0)
    #expect(Set(alone.losses).count == 3)
    for size in 1...4 where course.parts % size == 0 {
      for bytes in Self.sizes {
        for outcome in try ThreadGroup.run(size, { try course.train($0, bucketBytes: bytes) }) {
          #expect(outcome == alone, "\(size) processes, buckets of \(bytes) bytes")
        }
      }
    }
  }

  @Test(arguments: [2, 3]) func sameBitsByGloo(size: Int) throws {
    let course = Course(dtype: .bfloat16, parts: 6)
    let alone = try course.train(nil, bucketBytes: 0)
    for bytes in [0, 1, 60_000] {
      for result in try Loopback.results(size, { group, _ in try course.train(group, bucketBytes: bytes) }) {
        #expect(try result.get() == alone, "buckets of \(bytes) bytes")
      }
    }
  }

  /// All processes call the same in the same order, whatever the numbers of their parts.
  @Test(arguments: [4, 3]) func order(size: Int) throws {
    let course = Course(parts: size == 3 ? 6 : 4)
    let calls = try ThreadGroup.run(size) { group in
      let recording = RecordingGroup(group)
      _ = try course.train(recording, bucketBytes: 60_000)
      return recording.calls
    }
    #expect(calls.allSatisfy { $0 == calls[0] })
    // Every bucket is exchanged and gathered, then losses and statistics are.
    let exchanges = calls[0].count { $0.hasPrefix("exchange") }
    #expect(exchanges > 3 * 3 && calls[0].count == 2 * exchanges + 3)
  }

  /// Buckets cover all tensors once, the last first, and are as large as was asked for and hardly larger.
  @Test func buckets() throws {
    let variables = try LoopFixture().network.model.variables
    for elements in [1, 5000, 20_000, 1_000_000] {
      let buckets = GradientVector.buckets(variables, of: elements)
      #expect(buckets.reversed().flatMap(\.leaves).map(\.identity) == variables.parameters.map(\.identity))
      for bucket in buckets.dropLast() {
        #expect(bucket.count >= elements && bucket.count - bucket.leaves[0].count < elements)
      }
    }
    #expect(GradientVector.buckets(variables, of: nil).map(\.count) == [variables.parameterCount])
  }

  /// The first exchange begins when the gradient of the network's first tensor, the last to come, is not there yet.
  @Test func beginsWithinThePass() throws {
    let early = try ThreadGroup.run(2) { group in
      let fixture = try LoopFixture()
      let first = fixture.network.model.variables.parameters[0]
      nonisolated(unsafe) var isEarly: [Bool] = []
      let recording = RecordingGroup(group) { _ in isEarly.append(first.gradient == nil) }
      let step = fixture.step(parts: BatchParts(4, sharedBy: recording, bucketBytes: 60_000))
      try Self.take(step, fixture)
      return isEarly
    }
    for flags in early { #expect(flags.first == true) }
  }

  /// Where statistics are exchanged within the pass, gradients are so after it, and in one piece.
  @Test func sharedStatistics() throws {
    let calls = try ThreadGroup.run(2) { group in
      let fixture = try LoopFixture()
      let recording = RecordingGroup(group)
      let parts = BatchParts(2, sharedBy: recording, sharesStatistics: true, bucketBytes: 1)
      try Self.take(fixture.step(parts: parts), fixture)
      return recording.calls
    }
    for list in calls { #expect(list.count { $0.hasPrefix("exchange") } == 1) }
  }

  /// A process that fails in the midst of a pass says why, the other that it is gone, and neither keeps gradients or is
  /// told of any later ones.
  @Test(arguments: [DType.float32, .bfloat16]) func failsWithinThePass(dtype: DType) throws {
    let cause = TorchError(operation: "exchange", reason: "the cable was pulled", code: .lostWorker)
    let results = ThreadGroup.results(2) { group in
      let fixture = try LoopFixture(dtype: dtype)
      let variables = fixture.network.model.variables
      let recording = RecordingGroup(group) { number in
        if group.rank == 1, number == 3 { throw cause }
      }
      let step = fixture.step(parts: BatchParts(4, sharedBy: recording, bucketBytes: 20_000))
      let error = Result { try Self.take(step, fixture) }
      let count = recording.calls.count
      #expect(variables.parameters.allSatisfy { $0.gradient == nil })
      try variables.computing(in: dtype) {
        #expect(GradientVector(variables).leaves.allSatisfy { $0.gradient == nil })
        try fixture.network.model(Tensor.zeros([2, 1, 12, 12]).to(dtype), .batch).logits.sum().backward()
      }
      #expect(recording.calls.count == count)
      return try error.get()
    }
    for (rank, result) in results.enumerated() {
      let error = #expect(throws: TorchError.self) { try result.get() }
      #expect(error?.code == .lostWorker && (rank == 0 || error == cause))
    }
  }

  /// A parameter that no part reaches is named, as without buckets.
  @Test func missingGradient() throws {
    let messages = try [0, 1].map { bytes in
      let results = ThreadGroup.results(2) { group in
        let fixture = try LoopFixture()
        _ = fixture.network.model.variables.root.parameter("unused", [3], .constant(1))
        try Self.take(fixture.step(parts: BatchParts(2, sharedBy: group, bucketBytes: bytes)), fixture)
      }
      return try results.map { result in
        "\(try #require(#expect(throws: TorchError.self) { try result.get() }))"
      }
    }
    #expect(messages[0] == messages[1] && messages[0][0].contains("a parameter has no gradient"))
  }

  private static func take(_ step: TrainingStep, _ fixture: LoopFixture) throws {
    let planner = fixture.planner
    let inputs = try step.inputs(for: planner)
    try inputs.fill(step.own(planner.numbers(planner.order(epoch: 0), epoch: 0, step: 0)))
    _ = try step(inputs)
  }
}
