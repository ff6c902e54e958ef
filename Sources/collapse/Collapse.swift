import ArgumentParser
import Experiment
import Foundation
import SystemTools

/// The command line. It does not load libtorch: work that needs it is done by `collapse-worker`.
struct Collapse: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "collapse",
    abstract: "A laboratory for neural collapse under mixup.",
    discussion: """
      EXAMPLES
        collapse demo
        collapse train --preset wrn-16-2-fashion-mnist --set epochs=10 --out runs/first
        collapse evaluate runs/first --json

      Exit status: 0 done, 64 wrong usage, 65 bad input data, 66 missing input, 70 internal error,
      75 stopped by SIGUSR1 or SIGUSR2 with a checkpoint, to be started again, 130 interrupted.
      """,
    version: collapseVersion,
    subcommands: [
      DemoCommand.self, TrainCommand.self, ResumeCommand.self, EvaluateCommand.self, CaptureCommand.self,
      MeasureCommand.self,
      FigureCommand.self, SweepCommand.self, RunsCommand.self, ReproduceCommand.self, ReportCommand.self,
      TheoryCommand.self, DataCommand.self,
      BenchmarkCommand.self,
      DoctorCommand.self,
    ])
}

@main enum Program {
  static func main() {
    ProcessLimits.prepare("collapse", status: ExitStatus.internalError.rawValue)
    WorkerSignals.install()
    do {
      var command = try Collapse.parseAsRoot()
      try command.run()
      try finishOutput()
    } catch {
      // Status 1 is for errors that ArgumentParser knows nothing of.
      guard Collapse.exitCode(for: error) == .failure else { Collapse.exit(withError: error) }
      let failure = Failure(describing: error)
      writeToStandardError("collapse: \(failure)\n")
      let isAgain = failure.status == .interrupted && WorkerSignals.isToComeAgain
      exit(isAgain ? ExitStatus.again.rawValue : failure.status.rawValue)
    }
  }
}

/// Brings what was printed to where it goes.
///
/// - Throws: `Failure` if it did not all arrive; a reader that has closed its pipe wanted no more.
func finishOutput() throws {
  guard fflush(nil) != 0, errno != EPIPE, errno != EBADF else { return }
  throw Failure(.internalError, "the output could not be written (\(String(cString: strerror(errno)))).")
}
