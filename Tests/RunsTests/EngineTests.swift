import Experiment
import NN
import Problems
import Records
import Tasks
import Testing
import Torch

@testable import Runs

/// How a device is made use of, and what is said of it.
@Suite struct EngineTests {
  @Test func choosesKernels() throws {
    let own = try Computing(device: "cpu", precision: .fp32)
    #expect(own.kernels is CPUKernels && own.notes.isEmpty)
    let none = try Computing(device: "cpu", precision: .fp32, kernels: .off)
    #expect(none.kernels is LibtorchKernels && none.notes.isEmpty)
    for device in Device.kinds.dropFirst() {
      let computing = try Computing(device: "\(device)", precision: .bf16)
      #expect(computing.kernels is CUDAKernels || computing.notes.count == 1)
    }
  }

  /// Steps that cannot be recorded are taken as they are; that is said to those who have asked, and changes no bit. A run
  /// may go on with other choices, since they are not what makes it this run.
  @Test func runs() throws {
    let fixture = try RunFixture()
    var configuration = fixture.configuration
    configuration.device = "cpu"
    func run(_ graph: Configuration.Engine.Use, _ name: String, stopAfter steps: Int = .max) throws
      -> (run: RunDirectory, notes: [String])
    {
      configuration.engine.graph = graph
      var (count, notes) = (0, [String]())
      let run = try TrainingRun.start(
        configuration, at: fixture.directory.file(name), command: ["test"],
        until: {
          count += 1
          return count >= steps
        },
        report: { if case .note(let text) = $0, text.contains("recorded") { notes.append(text) } }
      ).run
      return (run, notes)
    }
    let whole = try run(.auto, "whole")
    #expect(whole.notes.isEmpty)
    let asked = try run(.on, "asked", stopAfter: 8)
    #expect(asked.notes.count == 1 && asked.notes[0].contains("only CUDA"))
    var text = try asked.run.loadConfiguration()
    text.engine.graph = .off
    try RunDirectory.write(text.yaml(), to: asked.run.configuration)
    #expect(try TrainingRun.resume(asked.run, command: ["test"], report: { _ in }) != nil)
    #expect(try fixture.bytes(asked.run.metrics) == fixture.bytes(whole.run.metrics))
    #expect(try fixture.bytes(asked.run.weights) == fixture.bytes(whole.run.weights))
  }

  @Test func benchmarks() throws {
    var configuration = Configuration()
    configuration.model.name = "wrn-10-1"
    configuration.device = "cpu"
    configuration.batchSize = 4
    configuration.engine.graph = .on
    var task = BenchmarkTask(configuration)
    (task.steps, task.warmup, task.imageSize) = (2, 0, 8)
    let report = try BenchmarkReport(task)
    #expect(report.steps == 2 && report.isRecorded == false && report.peakDeviceReservedBytes == nil)
    #expect(try #require(report.startupSeconds) > 0)
    #expect(report.notes?.count == 1)
    let json = try report.json()
    for key in ["startup_seconds", "is_recorded", "notes"] { #expect(json.contains("\"\(key)\"")) }
  }
}
