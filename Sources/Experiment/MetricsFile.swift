import Arrays
import Foundation
import Problems
import Records
import SystemTools

/// The metrics of a run, `metrics.jsonl`: a row an epoch, each with a seal over itself and all before it.
///
/// A last row that is still being written, or was cut short, is none of them.
public struct MetricsFile: Sendable {
  private let run: RunDirectory
  /// Without the ends of lines.
  private var lines: [Data] = []
  /// After each line, of all up to there.
  private var fingerprints: [Fingerprint] = []
  private var isSealed = false

  private static let seal = TextSeal(after: #","seal":""#)

  /// Reads a run's metrics, which need not be there yet, and compares them with their seals. Rows of older versions have
  /// none.
  ///
  /// - Throws: `Problem` naming the first line that is not as it was written.
  public init(_ run: RunDirectory) throws {
    self.run = run
    guard let data = FileManager.default.contents(atPath: run.metrics) else { return }
    for line in data.prefix((data.lastIndex(of: Self.end) ?? -1) + 1).split(separator: Self.end) {
      try add(Data(line))
    }
  }

  private static let end = UInt8(ascii: "\n")

  private var chain: Fingerprint { fingerprints.last ?? Fingerprint() }

  /// A number that other rows would change.
  public var fingerprint: String { "\(chain.value)" }

  private mutating func add(_ line: Data) throws {
    switch Self.seal.check(line, after: chain) {
    case .whole(let next):
      isSealed = true
      fingerprints.append(next)
    // What was begun by an older version may go on with seals, and never without them again.
    case .unsealed where !isSealed: fingerprints.append(chain.adding(line))
    case .unsealed, .damaged: throw damage(lines.count, "is not as it was written")
    }
    lines.append(line)
  }

  private func damage(_ line: Int, _ what: String) -> Problem {
    Problem(.damagedMetrics, run.configuration, "\(run.metrics):\(line + 1) \(what).")
  }

  private func row(_ line: Int) throws -> MetricRow {
    do {
      return try JSONDecoder.collapse.decode(MetricRow.self, from: lines[line])
    } catch {
      throw damage(line, "is not a row of metrics: the file was damaged or edited")
    }
  }

  /// All rows.
  ///
  /// - Throws: `Problem` naming a line without a seal that is none.
  public func rows() throws -> [MetricRow] { try lines.indices.map(row) }

  /// The last row; nil before the end of the first epoch.
  ///
  /// - Throws: `Problem` if it has no seal and is none.
  public func last() throws -> MetricRow? { try lines.isEmpty ? nil : row(lines.count - 1) }

  /// Adds a row.
  ///
  /// - Throws: `FileError` if it cannot be written whole.
  public mutating func append(_ row: MetricRow) throws {
    var line = try JSONEncoder.collapse.encode(row)
    line.removeLast()
    line += Data(#","seal":"\#(TextSeal.placeholder)"}"#.utf8)
    let next = Self.seal.put(into: &line, after: chain)
    try RunDirectory.append(line + [Self.end], to: run.metrics)
    lines.append(line)
    fingerprints.append(next)
    isSealed = true
  }

  /// The fingerprint that it had after so many epochs.
  ///
  /// - Throws: `Problem` naming a line without a seal that is no row.
  public func fingerprint(throughEpoch epoch: Int) throws -> String {
    // From the end, since a checkpoint asks for all that there are.
    let last = try lines.indices.last { try row($0).epoch <= epoch }
    return "\((last.map { fingerprints[$0] } ?? Fingerprint()).value)"
  }

  /// Drops the rows of later epochs, which a resumed run makes again, and a last line that was cut short.
  ///
  /// - Throws: `Problem` naming a line without a seal that is no row, and nothing is changed; `FileError`.
  public mutating func keep(throughEpoch epoch: Int) throws {
    guard FileManager.default.fileExists(atPath: run.metrics) else { return }
    let count = try count(throughEpoch: epoch)
    try Files.write(lines.prefix(count).map { $0 + [Self.end] }, to: run.metrics)
    lines.removeSubrange(count...)
    fingerprints.removeSubrange(count...)
  }

  private func count(throughEpoch epoch: Int) throws -> Int {
    try rows().prefix { $0.epoch <= epoch }.count
  }
}
