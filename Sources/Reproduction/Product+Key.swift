import Arrays
import Datasets
import Experiment
import Foundation
import Records

extension Product {
  /// Raised when what a product holds changes.
  private var version: Int { self == .measurement ? 2 : 1 }

  /// A text that another way of making it would change.
  func key(_ configuration: Configuration, _ programme: Programme) throws -> String {
    let capture: KeyedCapture? =
      switch self {
      case .evaluation: nil
      case .measurement: KeyedCapture(of: .numbers, configuration, programme)
      default: KeyedCapture(of: self, configuration, programme)
      }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let print = try Fingerprint().adding(name).adding(version).adding(encoder.text(capture))
    return String(print.value, radix: 16)
  }
}

/// A capture in the form that keys were first made of. Keys of products on people's disks depend on it: a new
/// setting may only be added where it is not its default.
private struct KeyedCapture: Encodable {
  private let directory = "run"
  private let name: String
  private let options: Options
  private let trajectories: Trajectories?
  private let classes: [ClassChoice]
  private let seed: Int?
  private let weights = "last"

  init(of product: Product, _ configuration: Configuration, _ programme: Programme) {
    name = product.name
    options = Options(product.options(configuration, programme))
    trajectories = product == .trajectories ? Trajectories() : nil
    (classes, seed) = product.draw(configuration)
  }

  private struct Trajectories: Encodable {
    private let pairs: Int
    private let lambdas: Int

    init() {
      let sampling = TrajectorySampling()
      (pairs, lambdas) = (sampling.pairs, sampling.lambdas)
    }
  }

  private struct Options: Encodable {
    private let settings: Configuration.Capture

    init(_ settings: Configuration.Capture) { self.settings = settings }

    private enum CodingKeys: String, CodingKey {
      case alpha, at, lambda, samples, statistics
      case batchSize = "batch_size"
      case classCount = "class_count"
      case sameClassShare = "same_class_share"
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(settings.alpha, forKey: .alpha)
      try container.encode(settings.at, forKey: .at)
      try container.encode(settings.lambda, forKey: .lambda)
      try container.encode(settings.samples, forKey: .samples)
      try container.encode(settings.statistics, forKey: .statistics)
      try container.encode(settings.batchSize, forKey: .batchSize)
      try container.encode(settings.classCount, forKey: .classCount)
      try container.encode(settings.sameClassShare, forKey: .sameClassShare)
    }
  }
}
