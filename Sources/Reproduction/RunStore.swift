import Experiment
import Foundation
import Records

/// The runs of a programme on disk: found by the content of their configuration, so that whatever has
/// the same is the same run.
struct RunStore: Sendable {
  /// Directory of the runs.
  let directory: String

  /// How far a run is.
  enum State: Sendable, Equatable {
    case finished
    /// Trained for so many epochs.
    case begun(epochs: Int)
    /// The loss is no longer a number, and would not be again.
    case diverged
    case missing
  }

  /// The directory of a configuration's run: the one that is there, or the one to be made.
  func run(_ configuration: Configuration) throws -> RunDirectory {
    let suffix = "-" + (try configuration.identity).prefix(12)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    let name = names.sorted().first { $0.hasSuffix(suffix) } ?? configuration.name + suffix
    return RunDirectory("\(directory)/\(name)")
  }

  /// How far it is.
  func state(of run: RunDirectory) -> State {
    guard FileManager.default.fileExists(atPath: run.configuration) else { return .missing }
    do {
      if try RunSummary.found(in: run.path) != nil { return .finished }
    } catch {
      // One of a later version is no less a summary, and must not be written over.
      return .finished
    }
    // Whoever would go on with a run whose manifest is of a later version is refused.
    if Manifest(in: run.path)?.state == .diverged { return .diverged }
    return .begun(epochs: ((try? run.metricRows()) ?? []).last?.epoch ?? 0)
  }

  /// Whether a product is there, made as it would be made now, and not written over since.
  func has(_ product: Product, made key: String, of run: RunDirectory) -> Bool {
    guard let record = records(of: run)[product.name], let stamp = Self.stamp(product.file(in: run)) else {
      return false
    }
    return record == Record(key: key, stamp: stamp)
  }

  /// Remembers how a product was made.
  func record(_ product: Product, made key: String, of run: RunDirectory) throws {
    var records = records(of: run)
    records[product.name] = Self.stamp(product.file(in: run)).map { Record(key: key, stamp: $0) }
    // A measurement is of its capture.
    if product == .numbers { records[Product.measurement.name] = nil }
    try RunDirectory.write(json: records, to: run.path + "/products.json")
  }

  private struct Record: Codable, Equatable {
    var key: String
    var stamp: String
  }

  private func records(of run: RunDirectory) -> [String: Record] {
    let data = FileManager.default.contents(atPath: run.path + "/products.json")
    return data.flatMap { try? JSONDecoder.collapse.decode([String: Record].self, from: $0) } ?? [:]
  }

  /// Size and time of a file; nil where there is none.
  private static func stamp(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return "\(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }
}
