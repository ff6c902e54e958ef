import Experiment
import Foundation
import Problems
import Randomness
import Records
import Yams

extension Sweep {
  /// More runs than anybody means.
  static let mostCandidates = 100_000

  /// A sweep of a file.
  ///
  /// - Throws: `Problem` if the file cannot be read, or describes none; with line and what would be right.
  public init(file: String) throws {
    let text = try Configuration.Source(file: file).text
    let name = URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent
    try self.init(text: text, name: name, file: file)
  }

  init(text: String, name: String, file: String) throws {
    self.text = text
    let root = try Fields(StrictYAML.compose(text, name: file) ?? .mapping(.init([])), file: file)
    try root.allow([
      "name", "about", "preset", "config", "base", "vary", "draw", "seeds", "choose", "measure",
    ])
    self.name = try root.text("name") ?? name
    about = try root.text("about") ?? ""
    base = try Self.base(root)
    candidates = try Self.candidates(root)
    seeds = try Self.seeds(root)
    choice = try Self.choice(root)
    measures = try root.flag("measure")
    // A mistake in the file should not wait for the run that it is in.
    for settings in candidates {
      do {
        _ = try configuration(settings, seed: seeds[0])
      } catch var problem as Problem {
        let of = settings.map(\.assignment).joined(separator: ", ")
        if !problem.reason.hasPrefix(file) {
          problem.reason = "\(file): \(of.isEmpty ? "the base" : of): \(problem.reason)"
        }
        throw problem
      }
    }
  }

  private static func base(_ root: Fields) throws -> [Configuration.Source] {
    var sources: [Configuration.Source] = []
    if let preset = try root.text("preset") { sources.append(try Presets.source(preset)) }
    if let config = try root.text("config") {
      // Beside the file that names it, wherever the program is started.
      let place = URL(fileURLWithPath: root.file).deletingLastPathComponent()
      sources.append(try Configuration.Source(file: URL(fileURLWithPath: config, relativeTo: place).path))
    }
    if let node = root["base"] { sources.append(try root.source(node, "base")) }
    return sources
  }

  // MARK: Candidates

  /// Those of the grids under `vary`, then those that are drawn.
  private static func candidates(_ root: Fields) throws -> [[Setting]] {
    var candidates: [[Setting]] = []
    if let node = root["vary"] {
      // One grid, or several one after another.
      let grids: [Node] = if case .sequence(let items) = node { Array(items) } else { [node] }
      for grid in grids { candidates += try self.grid(Fields(grid, file: root.file)) }
    }
    if root["draw"] != nil { candidates += try drawn(root.fields("draw")) }
    // What two grids have in common is one candidate.
    var known: Set<[Setting]> = []
    candidates = candidates.filter { known.insert($0.sorted { $0.key < $1.key }).inserted }
    if candidates.isEmpty { candidates = [[]] }
    return candidates
  }

  private static func grid(_ fields: Fields) throws -> [[Setting]] {
    var candidates: [[Setting]] = [[]]
    for (key, node) in fields.entries {
      try check(key, node, fields)
      guard let values = try Values(node, key, fields).all else {
        throw fields.failure("needs a count for the range of \(key)")
      }
      candidates = candidates.flatMap { before in values.map { before + [Setting(key: key, value: $0)] } }
      guard candidates.count <= mostCandidates else {
        throw fields.failure("gives more than \(mostCandidates) candidates")
      }
    }
    return candidates
  }

  private static func drawn(_ fields: Fields) throws -> [[Setting]] {
    try fields.allow(["count", "seed", "over"])
    guard let count = fields["count"]?.int, (1...mostCandidates).contains(count) else {
      throw fields.failure("needs a count from 1 to \(mostCandidates)")
    }
    let over = try fields.fields("over")
    guard !over.entries.isEmpty else { throw fields.failure("needs settings to draw under over") }
    let values = try over.entries.map { key, node in
      try check(key, node, over)
      return (key, try Values(node, key, over))
    }
    let root = RandomStream(seed: UInt64(bitPattern: Int64(fields["seed"]?.int ?? 0))).split("sweep")
    return (0..<count).map { number in
      values.map { key, values in
        // By its name, so that another setting beside it changes none of its values.
        var stream = root.split(key).split(number)
        return Setting(key: key, value: values.drawn(&stream))
      }
    }
  }

  private static func check(_ key: String, _ node: Node, _ fields: Fields) throws {
    guard key != "seed" else {
      throw Problem(
        .badSetting, key, "\(fields.place(node)): seeds are named by seeds, beside vary and draw.")
    }
    guard Configuration.allKeys.contains(key) else {
      throw Problem(
        .unknownKey, key,
        "\(fields.place(node)): there is no setting \"\(key)\"."
          + suggestion(for: key, among: Configuration.allKeys), choices: Configuration.allKeys)
    }
  }

  // MARK: Seeds and choice

  private static func seeds(_ root: Fields) throws -> [Int] {
    guard let node = root["seeds"] else { return [0] }
    func failure() -> Problem {
      Problem(
        .badSetting, "seeds",
        "\(root.place(node)): seeds is how many there are, from 0 on, or a list of different ones.")
    }
    if case .sequence(let items) = node {
      let seeds = items.compactMap {
        $0.scalar.flatMap { StrictYAML.isWholeNumber($0.string) ? Int($0.string) : nil }
      }
      guard seeds.count == items.count, !seeds.isEmpty, Set(seeds).count == seeds.count,
        seeds.allSatisfy({ $0 >= 0 })
      else { throw failure() }
      return seeds
    }
    guard let text = node.scalar?.string, StrictYAML.isWholeNumber(text), let count = Int(text),
      (1...1000).contains(count)
    else { throw failure() }
    return Array(0..<count)
  }

  private static func choice(_ root: Fields) throws -> Choice? {
    guard let node = root["choose"] else { return nil }
    let fields = try node.scalar == nil ? root.fields("choose") : nil
    try fields?.allow(["number", "best"])
    let place = root.place(node)
    guard let number = try fields?.text("number") ?? node.scalar?.string else {
      throw Problem(.badSetting, "choose", "\(place): choose needs a number, such as test_accuracy.")
    }
    let known = RunEntry.knownNumbers
    guard known.contains(number) else {
      throw Problem(
        .unknownName, number,
        "\(place): no number is called \"\(number)\"." + suggestion(for: number, among: known),
        choices: known)
    }
    guard let word = try fields?.text("best") else {
      return Choice(number: number, best: number.contains("accuracy") ? .largest : try stated(number, place))
    }
    guard let best = Choice.Best(rawValue: word) else {
      throw Problem(.badSetting, "choose.best", "\(place): best is largest or smallest, not \(word).")
    }
    return Choice(number: number, best: best)
  }

  /// Of numbers that are no accuracy it has to be said which is the best.
  private static func stated(_ number: String, _ place: String) throws -> Choice.Best {
    throw Problem(
      .badSetting, "choose.best",
      "\(place): say whether the largest or the smallest \(number) is the best: "
        + "choose: {number: \(number), best: smallest}.")
  }
}

extension Sweep.Values {
  fileprivate init(_ node: Node, _ key: String, _ fields: Fields) throws {
    if case .sequence(let items) = node {
      guard !items.isEmpty else { throw fields.failure("has no values for \(key)") }
      self = .list(try items.map { try Self.text(of: $0) })
      return
    }
    let range = try Fields(node, file: fields.file)
    try range.allow(["from", "to", "count", "scale"])
    guard let low = range["from"], let high = range["to"], let from = low.float, let to = high.float,
      from.isFinite, to.isFinite, from < to
    else { throw range.failure("range of \(key) needs from and to, the smaller number first") }
    let count = range["count"]?.int
    guard range["count"] == nil || (1...1000).contains(count ?? 0) else {
      throw range.failure("range of \(key) has a count from 1 to 1000")
    }
    let scale = try range.text("scale") ?? (from > 0 ? "log" : "linear")
    guard ["log", "linear"].contains(scale), scale == "linear" || from > 0 else {
      throw range.failure("range of \(key) has the scale log, for numbers above 0, or linear")
    }
    let isWhole = [low, high].allSatisfy { StrictYAML.isWholeNumber($0.scalar?.string ?? "") }
    self = .range(from: from, to: to, count: count, isLogarithmic: scale == "log", isWhole: isWhole)
  }

  /// A value as it would be written after a key and "=".
  private static func text(of node: Node) throws -> String {
    if let scalar = node.scalar { return scalar.string }
    if case .sequence(let items) = node {
      return "[" + (try items.map { try text(of: $0) }).joined(separator: ", ") + "]"
    }
    return StrictYAML.quoted(node)
  }
}

extension Fields {
  /// A yes or no; no where it is not said.
  fileprivate func flag(_ key: String) throws -> Bool {
    guard let node = self[key] else { return false }
    guard let value = node.bool else {
      throw Problem(.badSetting, key, "\(place(node)): \(key) must be true or false.")
    }
    return value
  }
}
