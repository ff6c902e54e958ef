import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Report

@Suite struct RunReportTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func page(_ paths: String..., title: String? = nil) throws -> String {
    try Report(paths: paths, title: title).html(charts: "// charts")
  }

  @Test func hasTheNumbersOfARun() throws {
    let fixture = try RunFixture(directory.file("first"))
    try fixture.addNumbers()
    let page = try page(fixture.run.path)
    let text = visible(page)
    for row in [
      ("test accuracy", "87.65 %"), ("mean loss of the last epoch", "0.3292"),
      ("same-class alignment", "0.9876"),
      ("classifier: Std ‖w_i‖ / Avg ‖w_i‖", "0.1234"), ("classifier: Std cos(w_i, w_j)", "0.0567"),
      ("expected calibration error", "0.0345"), ("mean confidence − accuracy", "+0.3750"),
      ("negative log-likelihood", "0.4321"), ("Brier score", "0.2109"), ("theory gap", "0.3456"),
      ("Collapse", "0.9.9, abcdef"), ("libtorch", "2.13.1"), ("device", "cpu, bf16, 5 threads"),
      ("processor", "A &lt;fast&gt; processor, 7 cores"), ("parameters", "691674"),
      ("images", "1234 for training, 567 for testing"), ("seed", "42"), ("started", "2001-09-09T01:46:40Z"),
      ("ended", "2001-09-09T01:48:20Z"), ("stretches of work", "1"), ("command", "collapse train"),
    ] {
      #expect(
        text.contains("<th scope=\"row\">\(row.0)</th>\n<td>\(row.1)</td>"), "\(row.0): \(row.1)")
    }
    #expect(text.contains("wrn-16-2, FashionMNIST, finished") && text.contains("learning_rate: 0.1"))
    // Of the accuracy, the summary's alone.
    #expect(text.components(separatedBy: "test accuracy").count == 2)
    #expect(try charts(page).count == 1 && !page.contains("Neural collapse"))
  }

  @Test func drawsNeuralCollapseInTheCourseOfTraining() throws {
    let fixture = try RunFixture(directory.file("first"), collapse: RunFixture.collapse)
    let page = try page(fixture.run.path)
    let charts = try charts(page)
    #expect(charts.count == 2)
    let title = charts[1]["title"] as? [String: Any]
    #expect(title?["text"] as? String == "Neural collapse in the course of training")
    for number in ["NC1: tr(Σ_B⁺Σ_W)/C", "NC4: agreement", "theory gap"] { #expect(page.contains(number)) }
    #expect(page.contains("\"type\":\"log\""))
    // Where they began and where they ended.
    let text = visible(page)
    #expect(text.contains("<th scope=\"col\">epoch 1</th>\n<th scope=\"col\">epoch 3</th>"))
    #expect(text.contains("<th scope=\"row\">NC1: tr(Σ_B⁺Σ_W)/C</th>\n<td>3</td>\n<td>1</td>"))
    #expect(text.contains("<td>0.25</td>\n<td>0.75</td>\n<td>as Theorem 3.1 has it → 0</td>"))
  }

  @Test func comparesRuns() throws {
    let first = try RunFixture(directory.file("first"), collapse: RunFixture.collapse)
    let second = try RunFixture(directory.file("a/first"))
    let page = try page(first.run.path, second.run.path, title: "Both")
    let text = visible(page)
    #expect(text.contains("<h1>Both</h1>") && text.contains("All runs"))
    // Of one name, told apart by their paths.
    #expect(text.contains("<th scope=\"row\">\(first.run.path)</th>"))
    #expect(text.contains("<td>mixup, α = 1.0, cross-entropy, sgd, seed 0</td>\n<td>87.65 %</td>"))
    #expect(text.contains("<td>2 min 5 s</td>\n<td>finished</td>"))
    #expect(try charts(page).count == 2)
  }

  /// Names are text, wherever they stand.
  @Test func escapesNames() throws {
    let name = "</script><script>alert(1)</script>"
    let fixture = try RunFixture(
      directory.file("x"), name: "a<b>&c", dataset: name, collapse: RunFixture.collapse)
    try RunDirectory.write(
      "{\"title\": \"\(name)\", \"mark\": \"point\"}\n", to: fixture.run.figures + "/picture.vl.json")
    let page = try page(fixture.run.path, title: name)
    #expect(!page.contains("<script>alert"))
    #expect(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"))
    #expect(visible(page).contains("name: a&lt;b&gt;&amp;c"))
    let picture = try #require(try charts(page).last)
    #expect(picture["title"] as? String == name)
  }

  @Test func aDamagedRowOfMetricsIsRefused() throws {
    let fixture = try RunFixture(directory.file("first"))
    let text = try String(contentsOfFile: fixture.run.metrics, encoding: .utf8)
    try RunDirectory.write(
      text.replacingOccurrences(of: "\"epoch\":2", with: "\"epoch\":x"), to: fixture.run.metrics)
    #expect { try page(fixture.run.path) } throws: {
      ($0 as? Problem)?.code == .damagedMetrics && "\($0)".contains("metrics.jsonl:2")
    }
  }

  /// A run that was stopped before anything was measured.
  @Test func anEmptyRun() throws {
    let run = RunDirectory(directory.file("empty"))
    try RunDirectory.makeDirectory(run.path)
    try RunDirectory.write(Configuration().yaml(), to: run.configuration)
    let page = try page(run.path)
    let text = visible(page)
    #expect(text.contains("<th scope=\"row\">test accuracy</th>\n<td>–</td>"))
    #expect(text.contains("wrn-16-2, –, –") && text.contains("– for training, – for testing"))
    #expect(try charts(page).isEmpty && !text.contains("Neural collapse") && !text.contains("Brier score"))
  }

  @Test func otherDirectoriesAreRefused() throws {
    try RunDirectory.makeDirectory(directory.file("other"))
    #expect { try page(directory.file("other")) } throws: { ($0 as? Problem)?.code == .nothingToReport }
    let fixture = try RunFixture(directory.file("first"))
    try RunDirectory.write("no chart\n", to: fixture.run.figures + "/picture.vl.json")
    #expect { try page(fixture.run.path) } throws: { ($0 as? Problem)?.code == .otherFile }
  }
}
