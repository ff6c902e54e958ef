import Experiment
import Figures
import Foundation
import Problems

/// A self-contained page about runs, or about a reproduction of the paper: it opens from the disk and
/// asks the network for nothing.
public struct Report: Sendable {
  /// What a page is made about.
  public enum Subject: Sendable {
    case run(RunDirectory)
    /// A directory that `collapse reproduce` has made.
    case reproduction(String)
  }

  private let subjects: [Subject]
  private let title: String

  /// A report about what lies at the given paths.
  ///
  /// - Throws: `Problem` for a path that is neither a run nor a reproduction.
  public init(paths: [String], title: String? = nil) throws {
    subjects = try paths.map { path in
      if FileManager.default.fileExists(atPath: path + "/config.yaml") { return .run(RunDirectory(path)) }
      let isReproduction = ["runs", "figures", "tables"].contains {
        FileManager.default.fileExists(atPath: "\(path)/\($0)")
      }
      guard isReproduction else {
        throw Problem(
          .nothingToReport, path,
          "\(path) is neither a run nor a reproduction: it has no config.yaml, runs or figures.")
      }
      return .reproduction(path)
    }
    self.title =
      title ?? paths.map { URL(fileURLWithPath: $0).lastPathComponent }.joined(separator: ", ")
  }

  /// The page.
  ///
  /// - Parameter charts: JavaScript that defines `vegaEmbed`, from ``Figures/FigureRenderer``.
  /// - Throws: `Problem` for files that are damaged.
  public func html(charts: String) throws -> String {
    var body = HTML()
    var contents = Contents()
    var runs = try subjects.flatMap { subject -> [RunReport] in
      switch subject {
      case .run(let run): return [try RunReport(run)]
      case .reproduction(let path):
        try ReproductionSection(path).write(to: &body, &contents)
        return try Self.runs(in: path).map { try RunReport($0) }
      }
    }
    // Runs of the same name are told apart by their paths.
    let named = Dictionary(grouping: runs, by: \.name)
    for index in runs.indices where named[runs[index].name]!.count > 1 { runs[index].name = runs[index].path }
    if runs.count > 1 { try RunReport.compare(runs, &body, &contents) }
    for run in runs { try run.write(to: &body, &contents, isAlone: runs.count == 1) }
    return HTML.page(title, body, contents, charts: charts)
  }

  private static func runs(in path: String) throws -> [RunDirectory] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/runs")) ?? []
    return names.sorted().map { RunDirectory("\(path)/runs/\($0)") }
      .filter { FileManager.default.fileExists(atPath: $0.configuration) }
  }
}
