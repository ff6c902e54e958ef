import Experiment
import Problems
import Yams

extension SlurmProfile {
  /// The profile that a text of YAML describes.
  ///
  /// - Parameters:
  ///   - text: YAML.
  ///   - file: where it is from, for messages.
  /// - Throws: `Problem` naming the line of a key or value that cannot be.
  public init(text: String, file: String) throws {
    let root = try Fields(StrictYAML.compose(text, name: file) ?? .mapping(.init([])), file: file)
    try root.allow(SlurmResources.keys + Self.keys)
    cells = try SlurmResources(root)
    let fields = try root.fields("follow_up")
    try fields.allow(SlurmResources.keys)
    followUp = try SlurmResources(fields, over: cells)
    modules = try root.texts("modules")
    setup = try root.texts("setup")
    prefix = try root.texts("prefix")
    maxParallel = try root.number("max_parallel", 1...1_000_000)
    // Slurm holds it in 16 bits.
    signalSeconds = try root.number("signal_seconds", 1...65_535) ?? signalSeconds
    arrayLimit = try root.number("array_limit", 1...4_000_001)
    guard let time = cells.time.flatMap(SlurmResources.seconds), let node = root["time"] else { return }
    // Slurm looks once a minute, and rather sends it too early.
    guard time > signalSeconds + 60 else {
      throw Problem(
        .badSetting, "time",
        "\(root.place(node)): a cell would be told to stop as soon as it starts: time is \(time) s, and Slurm "
          + "sends the signal up to 60 s before the last \(signalSeconds) (signal_seconds).")
    }
  }

  private static let keys = [
    "modules", "setup", "prefix", "max_parallel", "signal_seconds", "array_limit", "follow_up",
  ]
}

extension SlurmResources {
  static let keys = [
    "partition", "account", "qos", "time", "gpus", "cpus", "memory", "constraint", "options",
  ]

  /// Resources of a mapping; what it does not say is as in others, if there are any.
  init(_ fields: Fields, over base: SlurmResources? = nil) throws {
    self = base ?? SlurmResources()
    // A key without a value takes back what the others say, and says nothing where there are none.
    func value<Value>(_ key: String, _ old: Value?, _ read: (String) throws -> Value?) rethrows -> Value? {
      if base != nil, fields[key]?.isNothing == true { return nil }
      return try read(key) ?? old
    }
    partition = try value("partition", partition) { try fields.word($0) }
    account = try value("account", account) { try fields.word($0) }
    qos = try value("qos", qos) { try fields.word($0) }
    time = try value("time", time) {
      try fields.word($0, "a time as Slurm writes it: minutes, H:MM:SS or D-HH:MM:SS") {
        Self.seconds($0).map { $0 > 0 } ?? ["UNLIMITED", "INFINITE"].contains($0.uppercased())
      }
    }
    gpus =
      try fields.word("gpus", "a number of GPUs, or a type and a number such as a100:1") {
        $0.wholeMatch(of: /0|([A-Za-z0-9_.-]+:)?[1-9]\d{0,3}/) != nil
      } ?? gpus
    cpus = try value("cpus", cpus) { try fields.number($0, 1...65_535) }
    memory = try value("memory", memory) {
      try fields.word($0, "a size such as 32G, or a number of megabytes") {
        $0.wholeMatch(of: /(0|[1-9]\d{0,11})[KMGTkmgt]?/) != nil
      }
    }
    constraint = try value("constraint", constraint) { try fields.word($0) }
    if fields["gpus"] != nil { options = options.filter { !Self.isForGPUs($0.key) } }
    let named = try fields.sbatchOptions("options")
    if let node = fields["gpus"], let other = named.map(\.0).first(where: Self.isForGPUs) {
      throw Problem(
        .badSetting, "gpus",
        "\(fields.place(node)): gpus and the option \(other) are two words for one thing.")
    }
    for (name, values) in named {
      options[name] =
        values == ["false"] ? nil : .some(values == ["true"] ? nil : values.joined(separator: ","))
    }
  }
}

extension Fields {
  /// A value of a line of its own.
  func word(_ key: String, _ meaning: String = "a value", _ isRight: (String) -> Bool = { _ in true }) throws
    -> String?
  {
    guard let text = try text(key), let node = self[key] else { return nil }
    guard !node.isNothing, !text.contains(where: \.isNewline), isRight(text) else {
      throw Problem(
        .badSetting, key, "\(place(node)): \(key) must be \(meaning), not \(StrictYAML.quoted(node)).")
    }
    return text
  }

  /// A whole number of a range.
  func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
    let meaning = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    let text = try word(key, meaning) {
      StrictYAML.isWholeNumber($0) && Int($0).map(range.contains) ?? false
    }
    return text.flatMap { Int($0) }
  }

  /// A text or a list of them; empty where there is none.
  func texts(_ key: String) throws -> [String] {
    guard let node = self[key] else { return [] }
    let nodes: [Node] = if case .sequence(let items) = node { Array(items) } else { [node] }
    return try nodes.map { node in
      guard let text = node.scalar?.string, !node.isNothing, !text.contains("\0") else {
        throw Problem(.badSetting, key, "\(place(node)): \(key) must be a text or a list of texts.")
      }
      return text
    }
  }

  /// Further options of sbatch with their values: true for an option without one, false for none.
  fileprivate func sbatchOptions(_ key: String) throws -> [(String, [String])] {
    try fields(key).entries.map { name, node in
      let shown = "\(place(node)): the option \(StrictYAML.quoted(Node(name)))"
      guard name.wholeMatch(of: /[A-Za-z][A-Za-z0-9-]*/) != nil else {
        throw Problem(.badSetting, name, "\(shown) must be one of sbatch, written without its dashes.")
      }
      if let own = Self.ownKeys[name] {
        throw Problem(.badSetting, name, "\(shown) is what the key \(own) is for.")
      }
      if let why = Self.kept[name] { throw Problem(.badSetting, name, "\(shown) cannot be set: \(why).") }
      let values = try Fields(.mapping(.init([(Node(name), node)])), file: file).texts(name)
      guard values.allSatisfy({ !$0.contains(where: \.isNewline) }) else {
        throw Problem(.badSetting, name, "\(shown) must be on one line.")
      }
      return (name, values)
    }
  }

  private static let ownKeys = [
    "partition": "partition", "account": "account", "qos": "qos", "time": "time", "cpus-per-task": "cpus",
    "mem": "memory", "constraint": "constraint",
  ]

  /// What submission decides, and why.
  private static let kept: [String: String] = {
    let set = "this program sets it"
    let names = [
      "array", "chdir", "dependency", "job-name", "open-mode", "output", "parsable", "requeue", "signal",
    ]
    return Dictionary(uniqueKeysWithValues: names.map { ($0, set) }).merging([
      "no-requeue": "a cell goes on where it was stopped", "wait": "this program does not wait for cells",
      "wrap": "the script is this program's", "nodes": "a cell is one job on one node",
      "test-only": "nothing would be submitted",
    ]) { $1 }
  }()
}

extension Node {
  /// Whether nothing stands where a value should.
  fileprivate var isNothing: Bool {
    guard let scalar else { return false }
    return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }
}
