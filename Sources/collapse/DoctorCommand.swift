import ArgumentParser
import Datasets
import Experiment
import Figures
import Foundation
import Records
import SystemTools
import Tasks

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what is installed, what would be used, and how to mend what is missing.",
    discussion: """
      EXAMPLE
        collapse doctor
      """)

  @OptionGroup var output: JSONOption

  private struct Check: Encodable {
    var name: String
    var isRight = true
    var finding: String
    var remedies: [String] = []
  }

  func run() throws {
    var checks = [Check(name: "collapse", finding: collapseVersion)]
    checks += Self.checks("libtorch") {
      let report = try WorkerProcess().perform(EngineTask())
      let devices = report.cudaDevices == 0 ? "no CUDA device" : "\(report.cudaDevices) CUDA device(s)"
      return [
        Check(name: "libtorch", finding: report.libtorchLoaded ?? report.libtorchCompiled),
        Check(
          name: "device",
          finding: "\(report.device) (\(devices)), \(report.precision), \(report.threads) threads"),
      ] + (report.notes ?? []).map { Check(name: "kernels", finding: $0) }
    }
    checks += Self.checks("fashion-mnist") {
      let place = try FashionMNIST.locate()
      return [Check(name: "fashion-mnist", finding: place ?? "not here; it is fetched when it is needed")]
    }
    checks += Self.checks("figures") {
      let version = try FigureRenderer(project: ProgramLocation.project).version()
      return [Check(name: "figures", finding: "vl-convert \(version)")]
    }
    if output.json {
      try print(JSONEncoder.collapsePretty.text(checks))
    } else {
      for check in checks {
        print("\(check.isRight ? "ok     " : "MISSING")  \(check.name): \(check.finding)")
        check.remedies.forEach { print("           \($0)") }
      }
    }
    if checks.contains(where: { !$0.isRight }) { throw ExitCode(ExitStatus.missing.rawValue) }
  }

  /// What was found, or what stands in the way of it.
  private static func checks(_ name: String, _ find: () throws -> [Check]) -> [Check] {
    do {
      return try find()
    } catch {
      let failure = Failure(describing: error)
      return [Check(name: name, isRight: false, finding: failure.reason, remedies: failure.remedies)]
    }
  }
}
