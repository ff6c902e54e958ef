import Experiment
import Foundation
import Problems
import Sweeps
import Yams

extension Programme {
  /// One line each, from the shortest to the whole.
  private static let files: [(scale: String, text: [UInt8])] = [
    ("quick", PackageResources.quick_yaml),
    ("small", PackageResources.small_yaml),
    ("paper", PackageResources.paper_yaml),
  ]

  /// The scales of the programmes that come with the program.
  public static let scales = files.map(\.scale)

  /// Their programmes by name, as YAML.
  public static let presets = Dictionary(
    uniqueKeysWithValues: files.map { ($0.scale, String(decoding: $0.text, as: UTF8.self)) })

  /// A programme that comes with the program, or one of a file.
  ///
  /// - Parameter scale: a name, or a path.
  /// - Throws: `Problem` for one that is not there, or cannot be read.
  public init(scale: String) throws {
    if let text = Self.presets[scale] {
      try self.init(text: text, name: scale, file: "preset \(scale)")
      return
    }
    guard scale.contains("/") || scale.hasSuffix(".yaml") || scale.hasSuffix(".yml") else {
      throw Problem(
        .unknownScale, scale,
        "there is no scale \"\(scale)\"." + suggestion(for: scale, among: Self.scales),
        choices: Self.scales)
    }
    guard let data = FileManager.default.contents(atPath: scale),
      let text = String(data: data, encoding: .utf8)
    else {
      let exists = FileManager.default.fileExists(atPath: scale)
      throw Problem(
        exists ? .damagedFile : .missingFile, scale,
        "\(scale) \(exists ? "cannot be read as text" : "does not exist").")
    }
    let name = URL(fileURLWithPath: scale).deletingPathExtension().lastPathComponent
    try self.init(text: text, name: name, file: scale)
  }

  init(text: String, name: String, file: String) throws {
    self.name = name
    self.text = text
    let root = try Fields(StrictYAML.compose(text, name: file) ?? .mapping(.init([])), file: file)
    about = try root.text("about") ?? ""
    base = try root["base"].map { try root.source($0, "base") }
    var parts: [Part: [String: Configuration.Source]] = [:]
    let known: [Part: [String]] = [
      .networks: Self.networks, .datasets: Self.datasets, .variants: Self.variants,
    ]
    for part in Part.allCases {
      let fields = try root.fields(part.rawValue)
      for (key, node) in fields.entries {
        guard known[part]!.contains(key) else {
          throw Problem(
            .unknownPart, key,
            "\(fields.place(node)): there are no \(part.rawValue) called \"\(key)\"."
              + suggestion(for: key, among: known[part]!), choices: known[part]!)
        }
        parts[part, default: [:]][key] = try root.source(node, "\(part.rawValue).\(key)")
      }
    }
    self.parts = parts
    adjustments = try root.list("adjustments").map { fields in
      guard let settings = fields["settings"] else { throw fields.failure("needs settings") }
      try fields.allow(["for", "settings"])
      return (try Condition(fields), try root.source(settings, "adjustments"))
    }
    replicates = try root.list("replicates").map { fields in
      try fields.allow(["for", "seeds"])
      guard let seeds = fields["seeds"]?.int, (1...1000).contains(seeds) else {
        throw fields.failure("needs seeds, a number from 1 to 1000")
      }
      return (try Condition(fields), seeds)
    }
    sweeps = try root.list("sweeps").map(Sweep.init)
    var captures: [String: Configuration.Capture] = [:]
    let captureFields = try root.fields("captures")
    let captureNames = Product.captures.map(\.name)
    for (key, node) in captureFields.entries {
      guard captureNames.contains(key) else {
        throw Problem(
          .unknownPart, key,
          "\(captureFields.place(node)): no capture is called \"\(key)\"."
            + suggestion(for: key, among: captureNames), choices: captureNames)
      }
      let source = try root.source(.mapping(.init([(Node("capture"), node)])), "captures.\(key)")
      var capture = try Configuration((base.map { [$0] } ?? []) + [source]).capture
      // When training makes captures of its own is nothing to these.
      capture.at = []
      captures[key] = capture
    }
    self.captures = captures
    try root.allow(
      ["about", "base", "adjustments", "replicates", "sweeps", "captures"] + Part.allCases.map(\.rawValue))
    // A mistake in the file should not wait for the run that it is in.
    for network in Self.networks {
      for dataset in Self.datasets {
        for variant in Self.variants { try check(RunKey(network, dataset, variant), file) }
      }
    }
  }

  /// Refuses settings that a run cannot have, saying where they are.
  private func check(_ key: RunKey, _ file: String) throws {
    do {
      _ = try configuration(of: key)
    } catch var problem as Problem {
      if !isOfAPlace(problem, of: key) { problem.reason = "\(file): \(key): \(problem.reason)" }
      throw problem
    }
  }

  /// Whether a problem names a place in the file: then it reads otherwise when the file is called otherwise.
  private func isOfAPlace(_ problem: Problem, of key: RunKey) -> Bool {
    var unnamed = sources(of: key)
    for index in unnamed.indices { unnamed[index].name = "" }
    do {
      _ = try Configuration(unnamed)
      return true
    } catch {
      return Problem(error) != problem
    }
  }
}

extension Programme.Condition {
  fileprivate init(_ fields: Fields) throws {
    let parts = try fields.fields("for")
    try parts.allow(["network", "dataset", "variant"])
    networks = try parts.names("network", among: Programme.networks)
    datasets = try parts.names("dataset", among: Programme.datasets)
    variants = try parts.names("variant", among: Programme.variants)
  }
}

extension Programme.Sweep {
  fileprivate init(_ fields: Fields) throws {
    try fields.allow(["for", "vary", "choose"])
    condition = try .init(fields)
    var candidates: [[String]] = [[]]
    for (key, node) in try fields.fields("vary").entries {
      let values: [String]
      if case .sequence(let items) = node {
        values = items.compactMap { $0.scalar?.string }
      } else {
        let range = try Fields(node, file: fields.file)
        try range.allow(["from", "to", "count"])
        guard let low = range["from"]?.float, let high = range["to"]?.float, let count = range["count"]?.int,
          low > 0, high > low, count >= 2
        else { throw fields.failure("\(key) needs a list, or from and to above 0 and a count of 2 or more") }
        values = (0..<count).map { "\(low * pow(high / low, Double($0) / Double(count - 1)))" }
      }
      candidates = candidates.flatMap { before in values.map { before + ["\(key)=\($0)"] } }
    }
    guard candidates.count >= 2 else { throw fields.failure("needs two candidates or more under vary") }
    self.candidates = candidates
    let choose = try fields.text("choose") ?? "test_accuracy"
    guard ["test_accuracy", "validation_accuracy"].contains(choose) else {
      throw fields.failure("choose is test_accuracy or validation_accuracy, not \(choose)")
    }
    usesValidation = choose == "validation_accuracy"
  }
}
