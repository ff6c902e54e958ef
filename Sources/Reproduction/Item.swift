import Experiment
import Foundation
import Randomness
import Safetensors

/// A figure or table of the paper.
public enum Item: String, CaseIterable, Sendable, Comparable {
  case figure1 = "figure-1"
  case figure2 = "figure-2"
  case figure3 = "figure-3"
  case figure4 = "figure-4"
  case figure5 = "figure-5"
  case figure6 = "figure-6"
  case figure7 = "figure-7"
  case figure8 = "figure-8"
  case figure9 = "figure-9"
  case figure10 = "figure-10"
  case figure11 = "figure-11"
  case figure12 = "figure-12"
  case table1 = "table-1"
  case table2 = "table-2"
  /// Beyond the paper: the configuration as numbers.
  case configuration
  /// Beyond the paper: Figure 3 as numbers.
  case layers

  /// What it shows.
  public var title: String {
    switch self {
    case .figure1: "Last-layer activations of networks trained with mixup"
    case .figure2:
      "Activations without mixup, with mixup and squared errors, and with mixup and cross-entropy"
    case .figure3: "The class token's way through the layers"
    case .figure4: "Why the configuration calibrates"
    case .figure5: "Convergence of the classifier to a simplex ETF"
    case .figure6: "Features in theory: optimal and amplified"
    case .figure7: "Activations with the classifier fixed to a simplex ETF"
    case .figure8: "Activations of networks trained without mixup"
    case .figure9: "Activations of networks trained with mixup at α = 0.4"
    case .figure10: "Activations in the course of training"
    case .figure11: "Activations of several random triples of classes"
    case .figure12: "Activations of a transformer trained with AdamW"
    case .table1: "Test accuracy"
    case .table2: "Expected calibration error"
    case .configuration: "The configuration as numbers"
    case .layers: "The order in which layers see the two classes of a mixture"
    }
  }

  public static func < (a: Item, b: Item) -> Bool {
    allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
  }

  /// The items of a name: one, or all.
  ///
  /// - Throws: `Failure` with the nearest name.
  public static func named(_ name: String) throws -> [Item] {
    if name == "all" { return allCases }
    // As people write it: "Figure 3", "figure3", "table_1".
    let plain = name.lowercased().filter { $0.isLetter || $0.isNumber }
    if let item = allCases.first(where: { $0.rawValue.filter { $0 != "-" } == plain }) { return [item] }
    let names = allCases.map(\.rawValue)
    throw Failure(
      .usage, "there is no item \"\(name)\"." + suggestion(for: name, among: names),
      remedies: ["Items: all, " + names.joined(separator: ", ") + "."])
  }

  /// The seed of the runs that are drawn; numbers take all seeds.
  static let drawnSeed = 0
  /// Draws of three classes that Figure 11 shows.
  static let triples = 6

  /// What it is made from.
  public func needs(of programme: Programme) -> [Need] {
    /// The same of every seed.
    func all(_ network: String, _ dataset: String, _ variant: String, _ products: Product...) -> [Need] {
      (0..<programme.seeds(network, dataset, variant)).map { seed in
        Need(run: RunKey(network, dataset, variant, seed: seed), products: products)
      }
    }
    func drawn(_ network: String, _ dataset: String, _ variant: String, _ products: Product...) -> Need {
      Need(run: RunKey(network, dataset, variant, seed: Self.drawnSeed), products: products)
    }
    func grid(_ variant: String) -> [Need] {
      Programme.networks.flatMap { network in Programme.datasets.map { drawn(network, $0, variant) } }
    }
    switch self {
    case .figure1: return grid("mixup")
    case .figure2: return ["baseline", "mse", "mixup"].map { drawn("wrn", "cifar10", $0) }
    case .figure3: return [drawn("vit", "cifar10", "mixup", .trajectories)]
    case .figure4:
      return ["baseline", "mixup", "alpha-0.4"].map { drawn("wrn", "cifar10", $0, .numbers, .evaluation) }
    case .figure5:
      return Programme.networks.flatMap { network in Programme.datasets.flatMap { all(network, $0, "mixup") }
      }
    case .figure6: return []
    case .layers:
      return ["mixup", "baseline"].flatMap { all("vit", "cifar10", $0, .trajectories) }
    case .figure7: return [drawn("wrn", "cifar10", "etf"), drawn("wrn", "cifar10", "mixup")]
    case .figure8: return grid("baseline")
    case .figure9: return Programme.networks.map { drawn($0, "cifar10", "alpha-0.4") }
    case .figure10: return [drawn("wrn", "cifar10", "mixup")]
    case .figure11:
      return [
        Need(
          run: RunKey("wrn", "cifar10", "mixup"), products: (1...Self.triples).map { Product.triple($0) })
      ]
    case .figure12: return [drawn("vit", "cifar10", "adamw")]
    case .table1:
      return Programme.networks.flatMap { network in
        Programme.datasets.flatMap { dataset in
          ["baseline", "mixup"].flatMap { all(network, dataset, $0, .evaluation) }
        }
      } + all("wrn", "cifar10", "etf", .evaluation)
    case .table2:
      return Programme.networks.flatMap { network in
        ["baseline", "mixup", "alpha-0.4"].flatMap { all(network, "cifar10", $0, .evaluation) }
      }
    case .configuration:
      let cifar10 = [
        "wrn": ["mixup", "baseline", "mse", "etf", "alpha-0.4"],
        "vit": ["mixup", "baseline", "alpha-0.4", "adamw"],
      ]
      return Programme.networks.flatMap { network in
        Programme.datasets.flatMap { dataset in
          (dataset == "cifar10" ? cifar10[network]! : ["mixup", "baseline"]).flatMap {
            all(network, dataset, $0, .numbers, .measurement)
          }
        }
      }
    }
  }
}

/// A run and what is to be made of it.
public struct Need: Sendable, Equatable {
  public var run: RunKey
  public var products: [Product]
}

/// Something made of a finished run.
public enum Product: Hashable, Sendable, Comparable {
  /// A capture over all classes, for numbers.
  case numbers
  /// A capture of class tokens on their way.
  case trajectories
  /// A capture of three classes of a draw's own.
  case triple(Int)
  /// Accuracy and calibration on the test images.
  case evaluation
  /// The numbers of the configuration.
  case measurement

  /// Those that are captures.
  static var captures: [Product] { [.numbers, .trajectories] + (1...Item.triples).map { .triple($0) } }

  private var order: Int {
    switch self {
    case .numbers: 0
    case .trajectories: 1
    case .triple(let number): 1 + number
    case .evaluation: 1000
    case .measurement: 1001
    }
  }

  public static func < (a: Product, b: Product) -> Bool { a.order < b.order }

  /// Its name, which a capture's file has.
  public var name: String {
    switch self {
    case .numbers: "numbers"
    case .trajectories: "trajectories"
    case .triple(let number): "triple-\(number)"
    case .evaluation: "evaluation"
    case .measurement: "configuration"
    }
  }

  /// Its file.
  public func file(in run: RunDirectory) -> String {
    switch self {
    case .evaluation, .measurement: "\(run.path)/\(name).json"
    default: "\(run.captures)/\(name).safetensors"
    }
  }

  /// Raised when what a product holds changes.
  private var version: Int { self == .measurement ? 2 : 1 }

  /// A text that another way of making it would change.
  func key(_ configuration: Configuration, _ programme: Programme) throws -> String {
    let capture: CaptureRequest?
    switch self {
    case .evaluation: capture = nil
    case .measurement: capture = Product.numbers.capture(RunDirectory("run"), configuration, programme)
    default: capture = self.capture(RunDirectory("run"), configuration, programme)
    }
    let encoder = JSONEncoder.collapse
    let print = try Fingerprint().adding(name).adding(version).adding(encoder.text(capture))
    return String(print.value, radix: 16)
  }

  /// What the worker is asked for.
  func request(_ run: RunDirectory, _ configuration: Configuration, _ programme: Programme) -> WorkerRequest {
    switch self {
    case .evaluation: .evaluate(directory: run.path, weights: .last, device: nil)
    case .measurement: .measure(MeasureRequest(file: Product.numbers.file(in: run)))
    default: .capture(capture(run, configuration, programme))
    }
  }

  private func capture(_ run: RunDirectory, _ configuration: Configuration, _ programme: Programme)
    -> CaptureRequest
  {
    var options = programme.captures[name] ?? configuration.capture
    if self == .numbers, programme.captures[name] == nil {
      options.classCount = 0
      options.samples = 20_000
    }
    var request = CaptureRequest(directory: run.path, name: name, options: options)
    if self == .trajectories { request.trajectories = CaptureRequest.Trajectories() }
    if case .triple(let number) = self {
      request.classes = Self.triple(number, configuration)
      // Of classes that are not known here, the worker draws three.
      if request.classes.isEmpty { request.seed = 1000 * (configuration.seed + 1) + number }
    }
    return request
  }

  /// Three classes, other ones for every number as long as there are others; none where it is not known
  /// which there are.
  static func triple(_ number: Int, _ configuration: Configuration) -> [ClassChoice] {
    let data = configuration.data
    let classes =
      data.classes.isEmpty
      ? (0..<(data.knownClasses ?? 0)).map { ClassChoice("\($0)") } : data.classes
    guard classes.count > 3 else { return classes }
    var stream = RandomStream(seed: UInt64(configuration.seed)).split("triples")
    var drawn: [[Int]] = []
    let available = classes.count * (classes.count - 1) * (classes.count - 2) / 6
    while drawn.count < number {
      let triple = stream.nextSubset(3, below: classes.count).sorted()
      if !drawn.contains(triple) || drawn.count >= available { drawn.append(triple) }
    }
    return drawn[number - 1].map { classes[$0] }
  }
}
