import Models
import NN
import Problems
import Testing
import Torch

@testable import Training

/// Does what it has recorded anew each time: on the CPU, in place of a graph.
final class Repeater: Recorder, @unchecked Sendable {
  struct Repetition: Recording {
    let body: () throws -> Void
    func replay() throws { try body() }
  }

  private(set) var warmUps = 0
  private(set) var recordings = 0

  func warmingUp<Result>(_ body: () throws -> Result) throws -> Result {
    warmUps += 1
    return try body()
  }

  func record(_ body: @escaping () throws -> Void) throws -> any Recording {
    recordings += 1
    return Repetition(body: body)
  }
}

/// Refuses to record, after a part of the step was queued that is never done.
private final class Refuser: Recorder, @unchecked Sendable {
  private let network: any Classifier
  private(set) var attempts = 0
  init(_ network: any Classifier) { self.network = network }

  func warmingUp<Result>(_ body: () throws -> Result) throws -> Result { try body() }

  func record(_: @escaping () throws -> Void) throws -> any Recording {
    attempts += 1
    for tensor in network.variables.parameters { try tensor.setGradient(.zeros(like: tensor.detached()) + 1) }
    throw TorchError(operation: "graph", reason: "operation not permitted when stream is capturing")
  }
}

@Suite struct RecordedStepTests {
  enum Rule: CaseIterable { case sgd, adam, adamW, clipped }

  static func optimizer(_ rule: Rule, _ variables: Variables) -> any Optimizer {
    switch rule {
    case .sgd: SGD(variables, momentum: 0.9, weightDecay: 1e-4, nesterov: true)
    case .adam: Adam(variables, weightDecay: 1e-3, decay: .coupled)
    case .adamW: Adam(variables, weightDecay: 1e-2, decay: .decoupled)
    case .clipped: SGD(variables, momentum: 0, weightDecay: 0, gradientLimit: 0.1)
    }
  }

  /// Steps with recordings come to the bits of steps without, losses included: what changes from step to step is read
  /// from where it was first.
  @Test(
    arguments: Rule.allCases.map { (("wrn-10-1", DType.float32), $0) } + [
      (("wrn-10-1", .bfloat16), .sgd), (("wrn-10-1", .bfloat16), .clipped), (("vit-xs-4", .bfloat16), .adamW),
    ])
  func sameBits(network: (name: String, dtype: DType), rule: Rule) throws {
    func trained(_ recorder: Repeater?) throws -> (LoopFixture, [Double]) {
      let fixture = try LoopFixture(model: network.name, dtype: network.dtype)
      let step = fixture.step(Self.optimizer(rule, fixture.network.model.variables))
      var planner = fixture.planner
      planner.learningRate = 0.01
      planner.schedule = .cosine(warmupEpochs: 0.5)
      let losses = Losses()
      let stepper: any Stepper = recorder.map { RecordedStep(step, $0) } ?? step
      _ = try TrainingLoop(stepper, planner, observers: [losses]).run()
      #expect(step.optimizer.steps >= 1)
      return (fixture, losses.all)
    }
    let recorder = Repeater()
    let (recorded, losses) = try trained(recorder)
    let (plain, expected) = try trained(nil)
    #expect(recorder.warmUps == 1 && recorder.recordings == 1)
    #expect(losses == expected && losses.count == 12)
    #expect(try recorded.weights() == plain.weights())
  }

  private final class Losses: Observer {
    var all: [Double] = []
    func didReadLosses(_ losses: [Double], _: TrainingLoop) { all += losses }
  }

  /// Each shape of a step has a recording of its own.
  @Test func shapes() throws {
    func trained(_ recorder: Repeater?) throws -> (LoopFixture, RecordedStep?) {
      let fixture = try LoopFixture()
      var planner = fixture.planner
      planner.epochs = 4
      planner.layers = [0, 1, 2]
      let recorded = recorder.map { RecordedStep(fixture.step(), $0) }
      _ = try TrainingLoop(recorded ?? fixture.step(), planner).run()
      return (fixture, recorded)
    }
    let recorder = Repeater()
    let (fixture, recorded) = try trained(recorder)
    #expect(recorder.recordings == 3 && recorder.warmUps == 3)
    #expect(Set(try #require(recorded).recordedShapes.map(\.layer)) == [0, 1, 2])
    #expect(try fixture.weights() == trained(nil).0.weights())
  }

  /// A batch in parts is one shape.
  @Test func parts() throws {
    let recorder = Repeater()
    let (recorded, plain) = (try LoopFixture(dtype: .bfloat16), try LoopFixture(dtype: .bfloat16))
    _ = try TrainingLoop(RecordedStep(recorded.step(parts: BatchParts(4)), recorder), recorded.planner).run()
    _ = try TrainingLoop(plain.step(parts: BatchParts(4)), plain.planner).run()
    #expect(recorder.recordings == 1)
    #expect(try recorded.weights() == plain.weights())
  }

  /// With other inputs, as of a second loop, everything is recorded anew.
  @Test func otherInputs() throws {
    let recorder = Repeater()
    let (recorded, plain) = (try LoopFixture(), try LoopFixture())
    let (stepper, step) = (RecordedStep(recorded.step(), recorder), plain.step())
    for _ in 0..<2 {
      _ = try TrainingLoop(stepper, recorded.planner).run()
      _ = try TrainingLoop(step, plain.planner).run()
    }
    #expect(recorder.recordings == 2)
    #expect(try recorded.weights() == plain.weights())
  }

  /// What cannot be recorded is said once and done as before, and nothing of the attempt is left.
  @Test func goesOnWithoutRecording() throws {
    let (refused, plain) = (try LoopFixture(), try LoopFixture())
    let recorder = Refuser(refused.network.model)
    var notes: [String] = []
    let stepper = RecordedStep(refused.step(), recorder) { notes.append($0) }
    _ = try TrainingLoop(stepper, refused.planner).run()
    _ = try TrainingLoop(plain.step(), plain.planner).run()
    #expect(recorder.attempts == 1 && stepper.recordedShapes.isEmpty)
    #expect(notes.count == 1 && notes[0].contains("not recorded") && notes[0].contains("capturing"))
    #expect(try refused.weights() == plain.weights())
  }

  /// Evaluation and captures give what they give without recordings, the last batch with fewer images included.
  @Test(arguments: [[Probe.logits], [.features, .logits, .layers]])
  func passes(probes: [Probe]) throws {
    let fixture = try LoopFixture()
    let recorder = Repeater()
    let network = Network(
      fixture.network.model, fixture.network.normalization, recorder: recorder)
    let images = fixture.dataset.training
    for statistics in [BatchStatistics.running, .batch] {
      let source = ImageSource.all(images, batchSize: 13)
      let found = try network.forward(source, statistics, probes: Set(probes))
      let expected = try fixture.network.forward(source, statistics, probes: Set(probes))
      for (a, b) in zip(
        [found.features, found.logits] + found.layers, [expected.features, expected.logits] + expected.layers)
      {
        #expect(try a?.array(Float.self) == b?.array(Float.self))
      }
      #expect(found.layers.count == (probes.contains(.layers) ? 3 : 0))
    }
    #expect(recorder.recordings == 2)
    // Few batches are not worth it.
    _ = try network.forward(.all(images, batchSize: 48), probes: [.logits])
    #expect(recorder.recordings == 2)
  }

  @Test func passesThatCannotBeRecorded() throws {
    let fixture = try LoopFixture()
    let network = Network(
      fixture.network.model, fixture.network.normalization, recorder: Refuser(fixture.network.model))
    let images = fixture.dataset.training
    let found = try network.logits(of: images, batchSize: 13)
    #expect(
      try found.array(Float.self) == fixture.network.logits(of: images, batchSize: 13).array(Float.self))
  }

  /// Only CUDA devices record by themselves.
  @Test func noGraphsOnTheCPU() { #expect(GraphRecorder(.cpu) == nil) }

  /// On a device that can record: the bits of plain steps.
  @Test(.enabled(if: Device.kinds.count > 1), arguments: [DType.float32, .bfloat16], Rule.allCases)
  func graphs(dtype: DType, rule: Rule) throws {
    let device = try #require(Device.kinds.last)
    let kernels = try CUDAKernels.compiled(for: device).kernels
    for backend: any KernelBackend in [kernels, LibtorchKernels()] {
      func trained(_ recorder: GraphRecorder?) throws -> LoopFixture {
        let fixture = try LoopFixture(device, dtype: dtype, kernels: backend)
        let step = fixture.step(Self.optimizer(rule, fixture.network.model.variables))
        let recorded = recorder.map { RecordedStep(step, $0) { Issue.record("\($0)") } }
        _ = try TrainingLoop(recorded ?? step, fixture.planner).run()
        #expect(recorded?.recordedShapes.count ?? 1 == 1)
        return fixture
      }
      #expect(try trained(GraphRecorder(device)).weights() == trained(nil).weights())
    }
  }
}
