import Experiment
import Figures
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Report

@Suite struct PageTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func aMeasurement() throws {
    var measurement = Records.Measurement(
      file: "/a/<net>.safetensors", classes: 3, dimension: 64, samples: 300)
    measurement.numbers = [
      "unweighted.nc1_pinv": 0.25, "weighted.nc1_pinv": 0.5, "cdnv": 0.125, "classifier.rank": 3,
    ]
    measurement.intervals = ["unweighted.nc1_pinv": [0.2, 0.3]]
    measurement.notes = ["a note with <b>"]
    measurement.layers = [
      .init(name: "block1", dimension: 64, numbers: ["unweighted.nc1_pinv": 2])
    ]
    measurement.classGeometry = ClassGeometry(
      meanNorms: [1, 1, 1], variances: [0, 0, 0],
      meanCosines: [[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]], dualCosines: nil)
    measurement.reliability = [.init(lower: 0.5, upper: 1, count: 4, accuracy: 0.5, confidence: 0.75)]
    let page = try MeasurementReport(measurement).html(charts: "")
    let text = visible(page)
    #expect(
      text.contains("<h1>&lt;net&gt;.safetensors</h1>") && text.contains("Note: a note with &lt;b&gt;."))
    #expect(text.contains("300 features of length 64 in 3 classes"))
    // The mean of class means, that of samples, the interval and what it is.
    #expect(
      text.contains(
        "<th scope=\"row\">nc1_pinv</th>\n<td>0.25</td>\n<td>0.5</td>\n<td>0.2 … 0.3</td>\n"
          + "<td>tr(Σ_B⁺Σ_W)/C → 0</td>"))
    #expect(text.contains("<th scope=\"row\">cdnv</th>\n<td>0.125</td>\n<td>0.125</td>\n<td>–</td>"))
    #expect(text.contains("<th scope=\"row\">rank</th>\n<td>3</td>\n<td>–</td>"))
    #expect(!text.contains("NC5"))
    let titles = try charts(page).map { ($0["title"] as? [String: Any])?["text"] as? String }
    #expect(
      titles == [
        "Angles of class means and classifier", "Collapse through the layers",
        "Over- (+) and underconfidence (−)",
      ])
  }

  /// Figures and tables in the paper's order, then the runs.
  @Test func aReproduction() throws {
    let root = directory.file("reproduce")
    _ = try RunFixture(root + "/runs/one")
    for part in ["figures", "tables"] { try RunDirectory.makeDirectory("\(root)/\(part)") }
    try RunDirectory.write("{\"mark\": \"bar\"}", to: root + "/figures/figure-10.vl.json")
    try RunDirectory.write("{\"mark\": \"point\"}", to: root + "/figures/figure-2.vl.json")
    let cell = Table.Cell(column: "CIFAR10 mixup", measured: Measured([96, 98]), paper: 97.3, decimals: 2)
    let table = Table(
      fileName: "table-1", title: "Test accuracy", notes: ["A note."],
      rows: [.init(name: "WRN", cells: [cell])])
    _ = try table.write(into: root + "/tables")
    let text = try visible(Report(paths: [root]).html(charts: ""))
    let places = [
      "Figure 2:", "Figure 10: Activations in the course", "Table 1: Test accuracy", "<h2>one</h2>",
    ]
    .map { text.firstRange(of: $0)?.lowerBound }
    #expect(!places.contains(nil) && places.compactMap { $0 }.sorted() == places.compactMap { $0 })
    #expect(text.contains("<td>97.00 ± 1.41 (2) [97.30]</td>") && text.contains("A note."))
    try RunDirectory.write("[]", to: root + "/tables/table-2.json")
    #expect { try Report(paths: [root]).html(charts: "") } throws: { ($0 as? Problem)?.code == .otherFile }
  }
}
