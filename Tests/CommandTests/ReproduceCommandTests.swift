import Foundation
import TestSupport
import Testing

/// The whole programme on tiny images, and the page about it.
@Suite(.serialized) struct ReproduceCommandTests {
  let directory: TemporaryDirectory

  init() throws {
    directory = try TemporaryDirectory()
    try SyntheticImages.write(train: 96, test: 30, to: directory)
    try directory.write(
      Array(
        """
        about: Three classes of synthetic images, for tests.
        base:
          device: cpu
          precision: fp32
          epochs: 3
          batch_size: 16
          data: {dataset: idx, path: ., padding: 1}
          capture: {samples: 60, batch_size: 30, at: [0.2, 0.6]}
        networks:
          wrn: {model: {name: wrn-10-1}}
          vit: {model: {name: vit-xs-4}, optimizer: {kind: adam, learning_rate: 1.0e-3}}
        variants:
          baseline: {mixup: {enabled: false}}
          mse: {loss: mse, optimizer: {learning_rate: 0.02}}
          etf: {model: {classifier: simplex-etf}}
          alpha-0.4: {mixup: {alpha: 0.4}}
          adamw: {optimizer: {kind: adamw}}
        replicates: [{for: {network: wrn, variant: [mixup, baseline]}, seeds: 2}]
        captures:
          numbers: {class_count: 0, samples: 300, batch_size: 50}

        """.utf8), to: "tiny.yaml")
  }

  func run(_ arguments: String...) throws -> ProgramRunner.Result {
    try ProgramRunner(arguments, in: directory.path).finish(within: 600)
  }

  func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: directory.file(path)) }

  /// From nothing to every figure, table and the report; a second call does nothing but draw.
  @Test func everything() throws {
    let plan = try run("reproduce", "all", "--scale", "tiny.yaml", "--dry-run", "--json")
    let runs = try #require(plan.json?["runs"] as? [[String: Any]], "\(plan.errors)")
    // All data sets are the same here, so nine runs are distinct, two of them with a second seed.
    #expect(runs.count == 11 && runs.allSatisfy { $0["seconds"] as? Double ?? 0 > 0 })
    #expect(!exists("reproduce/tiny/runs"))

    let result = try run("reproduce", "all", "--scale", "tiny.yaml", "--jobs", "2")
    #expect(result.status == 0, "\(result.errors)")
    for number in 1...12 {
      for form in ["png", "svg", "pdf", "html", "vl.json"] {
        #expect(exists("reproduce/tiny/figures/figure-\(number).\(form)"), "figure \(number), \(form)")
      }
    }
    for name in ["table-1", "table-2", "configuration"] {
      #expect(exists("reproduce/tiny/tables/\(name).md") && exists("reproduce/tiny/tables/\(name).csv"))
    }
    let table = try String(
      contentsOfFile: directory.file("reproduce/tiny/tables/table-1.md"), encoding: .utf8)
    #expect(
      table.contains("[96.20]") && table.contains("(2)") && table.contains("Three classes of synthetic"))
    let again = try run("reproduce", "table-2", "figure 6", "--scale", "tiny.yaml")
    #expect(again.status == 0 && again.errors.contains("0 runs to do") && !again.errors.contains("training"))

    let page = try run("report", "reproduce/tiny", "-o", "page.html")
    #expect(page.status == 0 && page.output == "page.html\n", "\(page.errors)")
    let text = try String(contentsOfFile: directory.file("page.html"), encoding: .utf8)
    for part in ["Figure 1:", "Figure 12:", "Table 2:", "All runs", "wrn-fashion-mnist-mixup"] {
      #expect(text.contains(part), "\(part)")
    }
    #expect(!text.contains("src=\"http") && !text.contains("href=\"http"))
    if let chromium = Self.chromium { try expectPageWorks(chromium) }
  }

  private static let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }

  /// In a browser: no errors, every chart drawn, the sliders choose points, and a phone needs no
  /// scrolling sideways.
  private func expectPageWorks(_ chromium: String) throws {
    var page = try String(contentsOfFile: directory.file("page.html"), encoding: .utf8)
    let probe = """
      <script>
      const errors = [];
      addEventListener("error", (event) => errors.push(event.message));
      addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
      const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
      const marks = () => document.querySelectorAll(".chart path[aria-roledescription='point']").length;
      async function probe() {
        const charts = document.querySelectorAll(".chart").length;
        while (document.querySelectorAll(".chart.drawn, .chart.failed").length < charts) await wait(50);
        const before = marks();
        for (const input of document.querySelectorAll(".vega-bind input")) {
          if (input.max == 0.5 && input.value == 0) { input.value = 0.4; input.dispatchEvent(new Event("input")); }
        }
        await wait(2000);
        const found = { charts, drawn: document.querySelectorAll(".chart.drawn").length, before, after: marks(), errors,
          sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth };
        parent.postMessage(found, "*");
      }
      addEventListener("load", probe);
      </script>
      """
    // The first: scripts hold the same words.
    let head = try #require(page.firstRange(of: "</head>"))
    page.insert(contentsOf: probe, at: head.lowerBound)
    try directory.write(Array(page.utf8), to: "probed.html")
    try directory.write(
      Array(
        """
        <!DOCTYPE html><iframe src="probed.html" style="width: 390px; height: 800px; border: 0"></iframe><pre id="found"></pre>
        <script>addEventListener("message", (e) => { document.getElementById("found").textContent = JSON.stringify(e.data); });</script>
        """.utf8), to: "phone.html")
    let result = try ProgramRunner(
      [
        "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        "--virtual-time-budget=60000",
        "--user-data-dir=\(directory.file("browser"))", "--dump-dom",
        "file://\(directory.file("phone.html"))",
      ], in: directory.path, program: chromium
    ).finish(within: 300)
    let parts = result.output.components(separatedBy: "<pre id=\"found\">")
    let json = parts.count > 1 ? parts[1].components(separatedBy: "</pre>")[0] : ""
    let found = try #require(
      try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any],
      "\(result.errors.suffix(2000))")
    #expect(found["errors"] as? [String] == [])
    // Twelve figures and the curves.
    #expect(found["charts"] as? Int == 13 && found["drawn"] as? Int == 13)
    let (before, after) = (found["before"] as? Int ?? 0, found["after"] as? Int ?? 0)
    #expect(before > 500 && after > 0 && Double(after) < 0.7 * Double(before))
    #expect(found["sideways"] as? Int == 0)
    let complaints = result.errors.split(separator: "\n").filter {
      $0.contains("CONSOLE") && $0.contains("Error")
    }
    #expect(complaints.isEmpty, "\(complaints)")
  }

  @Test func mistakes() throws {
    try run("reproduce").expectFailure(64, ["nothing to reproduce is named", "Items: all, figure-1"])
    try run("reproduce", "figure-31").expectFailure(64, ["there is no item \"figure-31\"", "Did you mean"])
    try run("reproduce", "all", "--scale", "tny").expectFailure(64, ["there is no scale \"tny\""])
    try run("reproduce", "all", "--scale", "no.yaml").expectFailure(66, ["no.yaml does not exist"])
    try run("reproduce", "all", "--jobs", "0").expectFailure(64, ["--jobs cannot be 0"])
    try run("reproduce", "all", "--data", "none").expectFailure(66, ["none is not a directory"])
    #expect(try run("reproduce", "--show", "paper").output.contains("wrn-40-10"))
    try run("report", "none").expectFailure(66, ["none is neither a run nor a reproduction"])
    try directory.write(Array("networks: {wrn: {model: {name: wrn-11-1}}}".utf8), to: "bad.yaml")
    let bad = try run("reproduce", "figure-7", "--scale", "bad.yaml")
    #expect(bad.status == 70 && bad.errors.contains("Did you mean \"wrn-10-1\""), "\(bad.errors)")
    #expect(bad.errors.contains("1 of the runs failed"), "\(bad.errors)")
  }
}
