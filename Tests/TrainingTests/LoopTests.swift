import Models
import NN
import Problems
import Records
import Testing
import Torch

@testable import Training

/// Writes down what it is told.
private final class Diary: Observer {
  var entries: [String] = []
  var rows: [MetricRow] = []

  func didStep(_ loop: TrainingLoop) { entries.append("step \(loop.position.epoch).\(loop.position.step)") }
  func didReadLosses(_ losses: [Double], _: TrainingLoop) { entries.append("\(losses.count) losses") }
  func measure(_ row: inout MetricRow, _: TrainingLoop) {
    entries.append("measure \(row.epoch)")
    row.testAccuracy = 0.5
  }
  func didFinishEpoch(_ row: MetricRow, _: TrainingLoop) {
    entries.append("epoch \(row.epoch)")
    rows.append(row)
  }
  func willStop(_ loop: TrainingLoop) { entries.append("stop \(loop.position.epoch).\(loop.position.step)") }
}

@Suite struct LoopTests {
  @Test func observersAreToldInOrder() throws {
    let fixture = try LoopFixture()
    let (first, second) = (Diary(), Diary())
    let loop = try TrainingLoop(fixture.step(), fixture.planner, observers: [first, second])
    #expect(try loop.run() == .finished && loop.isFinished && loop.stepsDone == 12)
    func epoch(_ number: Int) -> [String] {
      (1...5).map { "step \(number - 1).\($0)" } + [
        "6 losses", "step \(number - 1).6", "measure \(number)", "epoch \(number)",
      ]
    }
    #expect(first.entries == epoch(1) + epoch(2) && second.entries == first.entries)
    // What one observer adds to a row, those after it see.
    #expect(second.rows.map(\.testAccuracy) == [0.5, 0.5] && second.rows.map(\.step) == [6, 12])
    #expect(second.rows.allSatisfy { $0.trainLoss > 0 && $0.learningRate == 0.05 })
  }

  /// Stopped after any step and gone on with, training comes to the same bits and the same row.
  @Test(arguments: [1, 6, 9]) func stopsAndGoesOn(steps: Int) throws {
    let whole = try LoopFixture()
    let diary = Diary()
    _ = try TrainingLoop(whole.step(), whole.planner, observers: [diary]).run()
    let fixture = try LoopFixture()
    let step = fixture.step()
    let first = try TrainingLoop(step, fixture.planner, observers: [Diary()])
    var looks = 0
    let outcome = try first.run {
      looks += 1
      return looks == steps
    }
    #expect(outcome == .interrupted && first.stepsDone == steps)
    let rest = Diary()
    let second = try TrainingLoop(step, fixture.planner, observers: [rest])
    second.resume(at: first.position, lossSum: try first.lossSum())
    #expect(try second.run() == .finished)
    #expect(try fixture.weights() == whole.weights())
    #expect(rest.rows.last == diary.rows.last)
  }

  /// Loops that could take no step are refused, whoever makes them.
  @Test(arguments: [(97, 1), (0, 1), (16, 3)]) func batchesThatCannotBe(size: Int, parts: Int) throws {
    let fixture = try LoopFixture()
    var planner = fixture.planner
    planner.batchSize = size
    let problem = #expect(throws: Problem.self) {
      try TrainingLoop(fixture.step(parts: BatchParts(parts)), planner)
    }
    #expect(problem?.code == .batchTooLarge)
  }

  /// What an observer throws ends training.
  @Test func observersMayEndIt() throws {
    final class Refusing: Observer {
      func didStep(_ loop: TrainingLoop) throws {
        if loop.position.step == 2 { throw Problem(.interrupted, "", "enough.") }
      }
    }
    let fixture = try LoopFixture()
    let loop = try TrainingLoop(fixture.step(), fixture.planner, observers: [Refusing()])
    #expect(throws: Problem.self) { try loop.run() }
    #expect(loop.stepsDone == 2)
  }
}

@Suite struct StepTests {
  /// The numbers of every step lie where those of the step before lay, so that a recorded step can read them.
  @Test(arguments: Device.kinds) func inputsStayWhereTheyAre(device: Device) throws {
    let fixture = try LoopFixture(device)
    var planner = fixture.planner
    planner.mixup = Mixup(.cut, alpha: 1, perSample: true)
    let inputs = try StepInputs(batchSize: 16, device: device)
    let order = planner.order(epoch: 0)
    try inputs.fill(planner.numbers(order, epoch: 0, step: 0))
    func addresses() throws -> [UnsafeMutableRawPointer] {
      guard device == .cpu else { return [] }
      return try [inputs.images, inputs.crops, inputs.scalars.learningRate, inputs.scalars.number].map {
        try $0.unsafeAddress()
      }
    }
    let before = try addresses()
    #expect(try inputs.images.array(Int.self) == Array(order[..<16]))
    let numbers = planner.numbers(order, epoch: 1, step: 2)
    try inputs.fill(numbers)
    #expect(try addresses() == before)
    #expect(try inputs.images.array(Int.self) == Array(order[32..<48]))
    #expect(try inputs.scalars.number.item() == 9 && numbers.number == 9)
    #expect(abs(try inputs.scalars.learningRate.item() - 0.05) < 1e-8)
    #expect(inputs.shape == StepInputs.Shape(isCropped: true, isMixed: true, isCut: true, layer: 0))
  }

  /// A step depends on its numbers and on what it trains, not on what its inputs held before.
  @Test func aStepIsAFunctionOfItsInputs() throws {
    let (one, other) = (try LoopFixture(), try LoopFixture())
    let numbers = one.planner.numbers(one.planner.order(epoch: 0), epoch: 0, step: 3)
    let fresh = try StepInputs(batchSize: 16, device: .cpu)
    try fresh.fill(numbers)
    let used = try StepInputs(batchSize: 16, device: .cpu)
    try used.fill(one.planner.numbers(one.planner.order(epoch: 1), epoch: 1, step: 0))
    try used.fill(numbers)
    #expect(try one.step()(fresh).item() == other.step()(used).item())
    #expect(try one.weights() == other.weights())
  }

  /// A batch that is assembled is what its numbers say.
  @Test func batches() throws {
    let fixture = try LoopFixture()
    var numbers = StepNumbers(images: [4, 0, 7, 2], learningRate: 0.1, number: 1)
    let inputs = try StepInputs(batchSize: 4, device: .cpu)
    let step = fixture.step()
    try inputs.fill(numbers)
    let plain = try step.prepared(inputs)
    let images = try fixture.network.normalization(fixture.dataset.training.selected([4, 0, 7, 2]))
    #expect(try plain.images.array(Float.self) == images.array(Float.self) && plain.alteration == nil)
    #expect(try plain.targets.array(Float.self) == [0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1])
    let plan = MixingPlan(lambdas: [1, 0.5, 0.25, 0], partners: [3, 2, 1, 0])
    numbers.mixing = plan
    try inputs.fill(numbers)
    let mixed = try step.prepared(inputs)
    #expect(try mixed.images.array(Float.self) == plan.mix(images: images).array(Float.self))
    #expect(try mixed.targets.array(Float.self) == plan.mix(plain.targets).array(Float.self))
    numbers.layer = 2
    try inputs.fill(numbers)
    let deeper = try step.prepared(inputs)
    #expect(
      try deeper.images.array(Float.self) == images.array(Float.self) && deeper.alteration?.layers == [2])
  }

  /// A failed step changes nothing of what is counted, and the next may go on.
  @Test func failuresSayWhatFailed() throws {
    let fixture = try LoopFixture()
    let step = fixture.step()
    let inputs = try StepInputs(batchSize: 4, device: .cpu)
    try inputs.fill(StepNumbers(images: [0, 1, 2, 96], learningRate: 0.1, number: 1))
    let error = #expect(throws: TorchError.self) { try step(inputs) }
    #expect(error?.operation.contains("index_select") == true && step.optimizer.steps == 0)
    try inputs.fill(StepNumbers(images: [0, 1, 2, 95], learningRate: 0.1, number: 1))
    #expect(try step(inputs).item().isFinite && step.optimizer.steps == 1)
  }
}

@Suite struct ForwardPassTests {
  /// Layers are seen in the one pass that gives the features, batch by batch.
  @Test func probes() throws {
    let fixture = try LoopFixture()
    var shares: [Double] = []
    let found = try fixture.network.forward(
      .all(fixture.dataset.test, batchSize: 7), probes: [.features, .logits, .layers]
    ) { shares.append($0) }
    #expect(shares.first == 0 && shares.last == 1 && shares.count == 6)
    #expect(found.features?.shape == [30, 64] && found.logits?.shape == [30, 3])
    #expect(found.layers.map { $0.shape[1] } == [16, 32, 64] && found.classTokens == nil)
    let chosen = try fixture.network.forward(
      .chosen([29, 3], of: fixture.dataset.test, batchSize: 30), probes: [.features])
    let expected = try #require(found.features).indexSelected(Tensor([29, 3]))
    #expect(try (#require(chosen.features) - expected).reshaped([-1]).norm([0]).item() < 1e-4)
    #expect(try fixture.network.accuracy(on: fixture.dataset.test, batchSize: 7) <= 1)
  }

  @Test func classTokens() throws {
    let fixture = try LoopFixture(model: "vit-xs-4")
    let source = ImageSource.chosen([0, 5], of: fixture.dataset.test, batchSize: 2)
    let found = try fixture.network.forward(source, probes: [.classTokens, .features, .layers])
    #expect(found.classTokens?.shape == [2, 7, 128] && found.tokenLogits?.shape == [2, 7, 3])
    let alone = try fixture.network.forward(source, probes: [.layers])
    #expect(found.layers.count == 6)
    for (layer, expected) in zip(found.layers, alone.layers) {
      #expect(try layer.array(Float.self) == expected.array(Float.self))
    }
    let last = try #require(found.tokenFeatures).selected(6, dimension: 1)
    #expect(try last.array(Float.self) == #require(found.features).array(Float.self))
    let problem = #expect(throws: Problem.self) {
      try LoopFixture().network.forward(source, probes: [.classTokens])
    }
    #expect(problem?.code == .noClassToken)
  }
}

@Suite struct CollapseCourseTests {
  /// The same numbers whenever the same network is measured, all of them in the catalogue.
  @Test func numbers() throws {
    let fixture = try LoopFixture()
    let course = try CollapseCourse(
      fixture.dataset, samples: 60, sampling: MixtureSampling(), batchSize: 25, RunStreams(seed: 1).course)
    let before = try fixture.weights()
    let numbers = try course(fixture.network)
    #expect(try course(fixture.network) == numbers && fixture.weights() == before)
    let known = Set(NumberCatalogue.course.map(\.path))
    #expect(Set(numbers.entries.map { "collapse.\($0.name)" }) == known)
    #expect(
      try #require(numbers["nc1_pinv"]) > 0 && (0...1).contains(#require(numbers["nc4_ncc_agreement_bias"])))
  }

  /// Fewer samples than classes are one a class; features that coincide have no numbers and stop nothing.
  @Test func collapsedNetworks() throws {
    let fixture = try LoopFixture()
    let course = try CollapseCourse(
      fixture.dataset, samples: 1, sampling: MixtureSampling(), batchSize: 25, RunStreams(seed: 1).course)
    for entry in fixture.network.model.variables.entries where !entry.name.hasPrefix("fc") {
      try withoutGradients { try entry.tensor.assign(.zeros(like: entry.tensor.detached())) }
    }
    #expect(try course(fixture.network)["nc2_etf_error"] == nil)
    let conv = try #require(
      fixture.network.model.variables.entries.first { $0.name.hasSuffix("conv1.weight") })
    try withoutGradients { try conv.tensor.assign(.full(conv.tensor.shape, .infinity)) }
    #expect(try course(fixture.network).entries.isEmpty)
  }
}
