import Experiment
import Foundation
import Records
import Sweeps

/// What is remembered of how products were made.
extension RunStore {
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
