import Experiment
import Foundation

/// How fast networks train on this machine as it is now, measured once each.
public struct Speeds {
  /// Images a second of a training step, by what is trained.
  private var rates: [String: Double] = [:]

  /// None known yet.
  public init() {}

  /// Images a second, measured if it is not known yet.
  mutating func rate(_ configuration: Configuration, threads: Int, _ perform: Reproduction.Performer) throws
    -> Double
  {
    let shape = DataShape(configuration)
    let name = [
      configuration.model.name, "\(shape.size)x\(shape.size)x\(shape.channels)",
      configuration.precision.rawValue,
      "batch \(configuration.batchSize)", configuration.device, "\(threads) threads",
    ].joined(separator: ", ")
    if let known = rates[name] { return known }
    var benchmark = WorkerRequest.Benchmark()
    benchmark.model = configuration.model.name
    benchmark.optimizer = configuration.optimizer.kind
    benchmark.precision = configuration.precision
    benchmark.device = configuration.device
    benchmark.batchSize = configuration.batchSize
    benchmark.imageSize = shape.size
    benchmark.channels = shape.channels
    benchmark.classes = shape.classes
    benchmark.threads = threads
    benchmark.warmup = 1
    benchmark.steps = 3
    struct Result: Decodable { let imagesPerSecond: Double }
    let json = try perform(.benchmark(benchmark)) { _ in }
    let rate = try JSONDecoder.collapse.decode(Result.self, from: Data(json.utf8)).imagesPerSecond
    rates[name] = rate
    return rate
  }
}

extension Configuration.Data {
  /// How many classes the whole data set has, as far as its name tells; a folder may hold anything.
  var knownClasses: Int? {
    switch dataset {
    case .cifar100: 100
    case .cifar10, .fashionMNIST: 10
    case .folder: path.contains("cifar100") ? 100 : path.contains("cifar10") ? 10 : nil
    case .idx: nil
    }
  }
}

/// Sizes of a configuration's data, as far as they are known without reading them.
private struct DataShape {
  let size: Int
  let channels: Int
  let classes: Int
  let trainingImages: Int
  let testImages: Int

  init(_ configuration: Configuration) {
    let data = configuration.data
    let isFashion = data.dataset == .fashionMNIST
    let allClasses = data.knownClasses ?? 10
    size = data.imageSize > 0 ? data.imageSize : isFashion ? 28 : 32
    channels = isFashion ? 1 : 3
    classes = data.classes.isEmpty ? allClasses : data.classes.count
    let all = (isFashion ? 60_000 : 50_000) * classes / allClasses
    trainingImages = data.trainLimit > 0 ? data.trainLimit : all
    testImages = data.testLimit > 0 ? data.testLimit : 10_000 * classes / allClasses
  }
}

extension Reproduction {
  /// Estimated seconds of a run and its products, from the speed of a few steps.
  ///
  /// A pass without gradients is taken as three times as fast as a step.
  ///
  /// - Parameter threads: of a job; 0: all.
  public func seconds(
    _ run: PlannedRun, threads: Int, _ speeds: inout Speeds, _ perform: Performer
  ) throws -> Double {
    if run.isDone { return 0 }
    let rate = try speeds.rate(run.configuration, threads: threads, perform)
    let shape = DataShape(run.configuration)
    var images = 0.0
    if run.state != .finished {
      let done = if case .begun(let epochs) = run.state { epochs } else { 0 }
      let left = Double(run.configuration.epochs - done)
      let measured = left / Double(run.configuration.evaluation.everyEpochs)
      images += left * Double(shape.trainingImages) + measured * Double(shape.testImages) / 3
      images += Double(run.configuration.capture.samples + 300 * shape.classes) / 3
    }
    for product in run.products {
      switch product {
      case .evaluation: images += Double(shape.testImages) / 3
      case .measurement: break
      default: images += Double(programme.captures[product.name]?.samples ?? 5000) / 3
      }
    }
    // To start a program and read the data.
    return images / rate + 3
  }

}
