import Experiment
import Foundation
import Problems
import Records
import SystemTools

/// Renders charts with vl-convert, which runs in a Python that has it.
public struct FigureRenderer: Sendable {
  /// The forms of a figure, by extension.
  public static let formats = images + ["html"]
  private static let images = ["png", "svg", "pdf"]

  private let python: String

  /// A renderer in the Python of `COLLAPSE_PYTHON`, of the project's environment, or of the path.
  ///
  /// - Parameter project: directory in which `scripts/bootstrap` has made an environment.
  /// - Throws: `Problem` if there is none.
  public init(project: String?) throws {
    do {
      python = try Python.find(project: project, for: "render figures with")
    } catch let error as ToolError {
      throw Self.missing("\(error).")
    }
  }

  private static let package = "vl-convert-python"

  private static func missing(_ reason: String) -> Problem { Problem(.noPythonPackage, package, reason) }

  /// The version of vl-convert that renders.
  ///
  /// - Throws: `Problem` if it is not installed.
  public func version() throws -> String {
    let script =
      "from importlib.metadata import version; import vl_convert; print(version('vl-convert-python'))"
    let output = try? Python.run(python, script)
    guard let output, output.status == 0 else {
      throw Self.missing("\(python) has no \(Self.package).")
    }
    return String(decoding: output.standardOutput, as: UTF8.self).trimmingCharacters(
      in: .whitespacesAndNewlines)
  }

  /// Writes a figure as PNG (at 220 pixels an inch), SVG, PDF, a self-contained HTML page, and its Vega-Lite source.
  ///
  /// - Returns: the files, the source last.
  /// - Throws: `Problem`; files of other figures stay as they are.
  public func render(_ figure: any Figure, into directory: String) throws -> [String] {
    try RunDirectory.makeDirectory(directory)
    let base = "\(directory)/\(figure.fileName)"
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let source = base + ".vl.json"
    let specification = try encoder.text(figure.specification())
    try RunDirectory.write(specification + "\n", to: source)
    let output: Tool.Output
    do {
      output = try Python.run(python, Self.script, [source, base])
    } catch let error as ToolError {
      throw Self.missing("\(error).")
    }
    guard output.status == 0 else {
      let reason =
        output.standardError.split(separator: "\n").last.map(String.init) ?? "status \(output.status)"
      if reason.contains("No module named") {
        throw Self.missing("\(python) can't render figures (\(reason)).")
      }
      throw Problem(.notRendered, base, "\(base) could not be rendered (\(reason)).")
    }
    for format in Self.images { try Files.replace("\(base).\(format)", with: "\(base).\(format).partial") }
    let charts = String(decoding: output.standardOutput, as: UTF8.self)
    try RunDirectory.write(
      ChartPage.html(title: figure.fileName, chart: specification, charts: charts), to: base + ".html")
    return Self.formats.map { "\(base).\($0)" } + [source]
  }

  /// JavaScript without dependencies that defines `vegaEmbed`, for pages of several charts.
  ///
  /// - Throws: `Problem` if the renderer is not installed.
  public func chartScript() throws -> String {
    let script = "import sys, vl_convert as vl; sys.stdout.write(vl.javascript_bundle(vl_version='5.21'))"
    let output = try? Python.run(python, script)
    guard let output, output.status == 0, !output.standardOutput.isEmpty else {
      throw Self.missing("\(python) has no \(Self.package).")
    }
    return String(decoding: output.standardOutput, as: UTF8.self)
  }

  /// Writes images beside the figure, under names that are not theirs yet, and prints the script of its page.
  private static let script = """
    import sys
    import vl_convert as vl
    source, base = sys.argv[1:]
    specification = open(source, encoding="utf-8").read()
    version = "5.21"
    made = {
        "png": vl.vegalite_to_png(specification, version, ppi=220),
        "svg": vl.vegalite_to_svg(specification, version).encode(),
        "pdf": vl.vegalite_to_pdf(specification, version),
    }
    for extension, content in made.items():
        with open(f"{base}.{extension}.partial", "wb") as file:
            file.write(content)
    sys.stdout.write(vl.javascript_bundle(vl_version=version))
    """
}
