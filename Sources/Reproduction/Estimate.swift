import Datasets
import Experiment
import Records
import Tasks

/// How fast networks train on this machine as it is now, measured once each.
public struct Speeds {
  /// Images a second of a training step, by what is trained.
  private var rates: [String: Double] = [:]

  /// None known yet.
  public init() {}

  /// Images a second, measured if it is not known yet.
  mutating func rate(_ configuration: Configuration, threads: Int, _ performer: some TaskPerformer) throws
    -> Double
  {
    let shape = DataShape(configuration)
    let name = [
      configuration.model.name, "\(shape.size)x\(shape.size)x\(shape.channels)",
      configuration.precision.rawValue,
      "batch \(configuration.batchSize)", configuration.device, "\(threads) threads",
    ].joined(separator: ", ")
    if let known = rates[name] { return known }
    var benchmark = BenchmarkTask(configuration)
    benchmark.configuration.threads = threads
    benchmark.imageSize = shape.size
    benchmark.channels = shape.channels
    benchmark.classes = shape.classes
    benchmark.warmup = 1
    benchmark.steps = 3
    let rate = try performer.perform(benchmark).imagesPerSecond
    rates[name] = rate
    return rate
  }
}

extension Configuration.Data {
  /// What is known of the whole data set without reading it; of a folder, if it is named after a data set that may
  /// lie anywhere.
  var facts: DatasetDescriptor.Facts? {
    if let facts = dataset.descriptor.facts { return facts }
    guard dataset == .folder else { return nil }
    let named = DatasetCatalogue.all.filter {
      $0.facts != nil && $0.path == .optional && path.contains($0.name)
    }
    return named.max { $0.name.count < $1.name.count }?.facts
  }
}

/// Sizes of a configuration's data; what is not known without reading them is taken to be as CIFAR10's.
private struct DataShape {
  let size: Int
  let channels: Int
  let classes: Int
  let trainingImages: Int
  let testImages: Int

  init(_ configuration: Configuration) {
    let data = configuration.data
    let facts = data.facts ?? Configuration.Dataset.cifar10.descriptor.facts!
    size = data.imageSize > 0 ? data.imageSize : facts.shape.height
    channels = facts.shape.channels
    let classes = data.classes.isEmpty ? facts.classes : data.classes.count
    func taken(_ all: Int, limit: Int) -> Int { limit > 0 ? limit : all * classes / facts.classes }
    self.classes = classes
    trainingImages = taken(facts.trainingImages, limit: data.trainLimit)
    testImages = taken(facts.testImages, limit: data.testLimit)
  }
}

extension Reproduction {
  /// Estimated seconds of a run and its products, from the speed of a few steps.
  ///
  /// A pass without gradients is taken as three times as fast as a step.
  ///
  /// - Parameter threads: of a job; 0: all.
  public func seconds(
    _ run: PlannedRun, threads: Int, _ speeds: inout Speeds, _ performer: some TaskPerformer
  ) throws -> Double {
    if run.isDone { return 0 }
    let rate = try speeds.rate(run.configuration, threads: threads, performer)
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
