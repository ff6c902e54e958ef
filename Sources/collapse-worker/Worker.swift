import Arrays
import Datasets
import Experiment
import Foundation
import Models
import NN
import Safetensors
import SystemTools
import Theory
import Torch
import Training

/// Does the work that needs libtorch, for `collapse`, and tells it how that goes.
///
/// The only argument is a ``Experiment/WorkerRequest`` as JSON; what happens is told as
/// ``Experiment/WorkerEvent``s on standard output, one a line.
@main struct Worker {
  static func main() {
    Interruption.install()
    do {
      let request = try decodedRequest()
      // For memory debuggers, and to see what our own is worth.
      if ProcessInfo.processInfo.environment["COLLAPSE_ALLOCATOR"] != "system" {
        try Engine.installCachingAllocator()
      }
      emit(.ready(compiled: Engine.compiledVersion, loaded: Engine.loadedVersion ?? "unknown"))
      try perform(request)
    } catch {
      let failure = Failure(describing: error)
      emit(.failed(failure))
      exit(failure.status.rawValue)
    }
  }

  private static func decodedRequest() throws -> WorkerRequest {
    guard CommandLine.arguments.count == 2,
      let request = try? JSONDecoder().decode(WorkerRequest.self, from: Data(CommandLine.arguments[1].utf8))
    else {
      throw Failure(.usage, "collapse-worker is started by collapse; use that: collapse --help")
    }
    return request
  }

  private static func perform(_ request: WorkerRequest) throws {
    switch request {
    case .train(let configuration, let directory, let command):
      let (run, summary) = try TrainingRun.start(
        configuration, at: directory, command: command, until: { Interruption.isRequested }, report: emit)
      try finish(run, summary)
    case .resume(let directory, let command):
      let run = try RunDirectory.open(directory)
      let summary = try TrainingRun.resume(
        run, command: command, until: { Interruption.isRequested }, report: emit)
      try finish(run, summary)
    case .evaluate(let directory, let weights, let device):
      let setup = try Setup(trained: RunDirectory.open(directory), weights, device: device) {
        emit(.fetching($0, $1))
      }
      try emit(result: setup.evaluate())
    case .capture(let request):
      let run = try RunDirectory.open(request.directory)
      let setup = try Setup(trained: run, request.weights, device: request.device) { emit(.fetching($0, $1)) }
      let file = try setup.capture(request, in: run) { emit(.fetching($0, $1)) }
      try emit(result: ["capture": "\(run.path)/\(file)"])
    case .captureForeign(let request):
      let setup = try Setup(
        foreign: request, reporting: { emit(.fetching($0, $1)) }, note: { emit(.note($0)) })
      try setup.write(setup.archive(request.capture) { emit(.fetching($0, $1)) }, to: request.out)
      try emit(result: ["capture": request.out])
    case .measure(let request):
      try emit(result: Measurement(request) { emit(.note($0)) })
    case .data(let name, let fetch): try emit(result: DataReport(name, fetch: fetch))
    case .doctor: try emit(result: EngineReport())
    case .benchmark(let benchmark): try emit(result: StepBenchmark(benchmark))
    }
  }

  private static func finish(_ run: RunDirectory, _ summary: Summary?) throws {
    guard let summary else {
      emit(.interrupted(directory: run.path))
      exit(ExitStatus.interrupted.rawValue)
    }
    try emit(result: summary)
  }

  private static func emit(result: some Encodable) throws {
    try emit(.result(JSONEncoder.collapsePretty.text(result)))
  }

  static func emit(_ event: WorkerEvent) {
    if case .started = event { Interruption.deferFirst() }
    guard var line = try? JSONEncoder().encode(event) else { return }
    line.append(UInt8(ascii: "\n"))
    // A reader that has gone is noticed elsewhere; what was computed is on the disk.
    line.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = write(STDOUT_FILENO, buffer.baseAddress! + written, buffer.count - written)
        if count <= 0 { break }
        written += count
      }
    }
  }
}

extension Failure {
  /// What a user is told of an error of any target.
  init(describing error: any Error) {
    switch error {
    case let failure as Failure: self = failure
    case let error as DatasetError:
      let status: ExitStatus =
        switch error.kind {
        case .missing: .missing
        case .malformed: .badData
        case .unsuitable: .usage
        }
      self.init(status, error.reason, remedies: error.remedies)
    case let error as ToolError: self.init(.missing, error.reason + ".")
    case let error as TheoryError: self.init(.badData, "\(error).")
    case let error as UnknownModel: self.init(.usage, error.description + ".")
    case let error as UnfitImages: self.init(.usage, error.description + ".")
    case let error as ArrayError: self.init(error.isMissing ? .missing : .badData, "\(error).")
    case let error as FileError:
      self.init(.internalError, "\(error).", remedies: ["Is the disk full, or the directory read-only?"])
    case let error as SafetensorsError: self.init(.badData, error.description + ".")
    case let error as UnknownLayout: self.init(.badData, error.description + ".")
    case let error as LoadingError: self.init(.badData, error.description + ".")
    case let error as TorchError:
      let memory = error.reason.localizedCaseInsensitiveContains("memory")
      self.init(
        .internalError, error.description,
        remedies: memory ? ["Try smaller batches: --set batch_size=…, evaluation.batch_size=…"] : [])
    default: self.init(.internalError, "\(error)")
    }
  }
}
