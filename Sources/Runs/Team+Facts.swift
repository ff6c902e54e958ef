import Datasets
import Experiment
import Foundation
import Problems
import SystemTools
import Torch

extension Team {
  /// What must be the same for all workers of a run.
  struct Facts: Codable {
    var program: String
    var libtorch: String
    /// As YAML, without where it is computed, but with what is exchanged.
    var configuration: String
    var data: UInt64

    init(_ resolved: Configuration, _ images: ImageSet) throws {
      program = collapseVersion
      libtorch = Engine.loadedVersion ?? "unknown"
      var comparable = resolved.comparable
      comparable.engine.bucketMegabytes = resolved.engine.bucketMegabytes
      if !comparable.data.path.isEmpty { comparable.data.path = "any" }
      configuration = try comparable.yaml()
      data = try images.fingerprint()
    }
  }

  /// Compares the facts of all workers.
  ///
  /// - Throws: `Problem` saying which worker has what, where it is not what rank 0 has.
  func compare(_ facts: Facts) throws {
    struct Known: Codable {
      var host: String
      var facts: Facts
    }
    try post("facts/\(world.rank)", JSONEncoder().encode(Known(host: HostAddress.name, facts: facts)))
    func known(_ rank: Int) throws -> Known {
      try JSONDecoder().decode(Known.self, from: value("facts/\(rank)", from: rank))
    }
    let first = try known(0)
    // Each looks at its own and rank 0 at all, so that one of the two says it.
    for rank in world.isLeader ? 1..<world.size : world.rank..<world.rank + 1 {
      let other = try known(rank)
      guard let difference = other.facts.difference(from: first.facts) else { continue }
      throw Problem(
        .unequalWorkers, "",
        "\(Self.name(rank, other.host)) has \(difference.own), \(Self.name(0, first.host)) \(difference.others)."
      )
    }
  }
}

extension Team.Facts {
  /// The first thing that another one has not; nil where there is none.
  fileprivate func difference(from other: Team.Facts) -> (own: String, others: String)? {
    if program != other.program { return ("collapse \(program)", other.program) }
    if libtorch != other.libtorch { return ("libtorch \(libtorch)", other.libtorch) }
    let lines = (configuration, other.configuration)
    if lines.0 != lines.1 {
      let keys = (Self.settings(lines.0), Self.settings(lines.1))
      for (key, value) in keys.0 {
        let others = keys.1.first { $0.key == key }?.value ?? "nothing"
        if value != others { return ("\(key): \(value)", others) }
      }
      return ("another configuration", "its own")
    }
    if data != other.data { return ("other training images (fingerprint \(data))", "\(other.data)") }
    return nil
  }

  /// Keys with their paths, and values, of a configuration's YAML.
  private static func settings(_ yaml: String) -> [(key: String, value: String)] {
    var found: [(key: String, value: String)] = []
    var group = ""
    for line in yaml.split(separator: "\n") {
      let text = line.trimmingCharacters(in: .whitespaces)
      guard !text.hasPrefix("- "), let colon = text.firstIndex(of: ":") else {
        // An element of a list.
        found[found.count - 1].value += " " + text
        continue
      }
      let key = String(text[..<colon])
      if !line.hasPrefix(" ") { group = key }
      let value = text[text.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      found.append((line.hasPrefix(" ") ? "\(group).\(key)" : key, value))
    }
    return found
  }
}
