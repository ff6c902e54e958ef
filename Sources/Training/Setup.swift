import Datasets
import Experiment
import Foundation
import Models
import Theory
import Torch

/// A network and its data on a device, as a configuration asks for them.
public struct Setup {
  /// What was asked for, with every automatic choice made.
  public let configuration: Configuration
  /// Where tensors live.
  public let device: Device
  /// Type of activations and matrix products.
  public let dtype: DType
  /// The images, on the device.
  public let dataset: ImageDataset
  /// The network, with fresh weights.
  public let model: any Classifier
  /// The run's randomness.
  public let streams: RunStreams
  /// The file of a network that was trained elsewhere; nil for one of a run.
  public internal(set) var foreignNetwork: String?
  /// Epochs that the weights were trained for.
  public internal(set) var epoch = 0

  /// Chooses device, precision and threads, reads the data and makes the network.
  ///
  /// - Parameters:
  ///   - normalization: in place of the data's own.
  ///   - reporting: told of downloads and checks.
  ///   - network: makes one of another kind; nil, or what it makes, nil: that of the configuration.
  /// - Throws: `Failure`, `DatasetError`, `TorchError`.
  public init(
    _ asked: Configuration, normalization: Normalization? = nil, reporting: DataReporting = { _, _ in },
    network: (ImageDataset, Device) throws -> (any Classifier)? = { _, _ in nil }
  ) throws {
    var configuration = asked
    device = try Self.device(named: asked.device)
    configuration.device = "\(device)"
    configuration.precision = Self.resolved(asked.precision, on: device)
    dtype = configuration.precision == .bf16 ? .bfloat16 : .float32
    if asked.threads > 0 { try Engine.setThreadCount(asked.threads) }
    configuration.threads = Engine.threadCount
    if device != .cpu { try Engine.setDeterministic(true) }

    // Before the data: a mistyped name should not wait for a download.
    do {
      try ModelRegistry.check(asked.model.name)
    } catch let error as UnknownModel {
      let hint = suggestion(for: asked.model.name, among: ModelRegistry.examples)
      throw Failure(.usage, "model.name: \(error.description).\(hint)")
    }
    if !asked.data.path.isEmpty {
      // What goes on with the run may start elsewhere.
      configuration.data.path = URL(fileURLWithPath: asked.data.path).standardizedFileURL.path
    }
    let all = try Self.load(configuration.data, reporting: reporting)
    streams = RunStreams(seed: asked.seed)
    let restricted = try all.restricted(
      classes: all.numbers(of: asked.data.classes), validation: asked.data.validation,
      trainLimit: asked.data.trainLimit, testLimit: asked.data.testLimit, streams.validation
    ).on(device)
    dataset = try normalization.map { try restricted.normalized(by: $0) } ?? restricted
    let size = ImageSize(height: dataset.size.height, width: dataset.size.width)
    do {
      model =
        try network(dataset, device)
        ?? ModelRegistry.make(
          asked.model.name, channels: dataset.channels, classes: dataset.classes,
          imageSize: size, classifier: Self.classifier(asked.model, dataset.classes, streams),
          seed: streams.initialization, device: device)
    } catch let error as TheoryError {
      throw Failure(
        .usage, "model.classifier: \(asked.model.name) cannot have a simplex ETF: \(error).",
        remedies: ["Choose a wider network or fewer classes, or --set model.classifier=learned."])
    } catch let error as UnfitImages {
      throw Failure(
        .usage, "model.name: \(error.description), the images of \(dataset.name).",
        remedies: ["Choose a patch that divides both, such as in vit-ti-1, or a WideResNet."])
    }
    self.configuration = configuration
    try checkFit()
  }

  /// The classifier that a configuration asks for; a fixed one depends on seed and network alone.
  private static func classifier(_ model: Configuration.Model, _ classes: Int, _ streams: RunStreams) throws
    -> ClassifierKind
  {
    guard model.classifier == .simplexETF else { return .learned }
    var stream = streams.classifier
    let etf = try SimplexETF(
      classes: classes, dimension: ModelRegistry.featureDimension(model.name), multiplier: model.multiplier,
      stream: &stream)
    return .fixed(etf.elements.map(Float.init))
  }

  /// Refuses what no data of this size can do, before anything is trained.
  private func checkFit() throws {
    let batchSize = configuration.batchSize
    guard dataset.training.count >= batchSize else {
      throw Failure(
        .usage, "batch_size is \(batchSize), but there are only \(dataset.training.count) training images.",
        remedies: [
          "--set batch_size=\(max(2, dataset.training.count / 2)), or more images (data.train_limit)."
        ])
    }
    guard dataset.classes >= 2 else {
      throw Failure(.badData, "\(dataset.name) has one class only; a classifier needs two or more.")
    }
    let mixup = configuration.mixup
    if mixup.enabled, mixup.kind == .manifold,
      let layer = mixup.layers.first(where: { $0 > model.layerCount })
    {
      throw Failure(
        .usage, "mixup.layers: \(configuration.model.name) has no layer \(layer) to mix at.",
        remedies: ["Its layers are 0 (the image) to \(model.layerCount)."])
    }
    guard configuration.capture.classCount <= dataset.classes else {
      throw Failure(
        .usage,
        "capture.class_count is \(configuration.capture.classCount), but there are only \(dataset.classes) classes.",
        remedies: ["--set capture.class_count=0 captures all of them."])
    }
    if let empty = (0..<dataset.classes).first(where: { !dataset.training.labels.contains($0) }) {
      throw Failure(.badData, "class \(dataset.classNames[empty]) of \(dataset.name) has no training image.")
    }
  }

  /// The device of a name; a wrong one is the user's to mend.
  static func device(named name: String) throws -> Device {
    do {
      return try Device(named: name)
    } catch let error as TorchError {
      throw Failure(
        .usage, "device \"\(name)\" cannot be used: \(error.reason).",
        remedies: [
          "device auto takes what is there (--device auto, or device: auto in the run's config.yaml);",
          "collapse doctor shows what that is.",
        ])
    }
  }

  /// Reads the data set that a configuration names, all of it.
  ///
  /// - Parameters:
  ///   - fetch: whether to bring it here if it is not.
  ///   - verify: whether to read its files again although they were packed.
  public static func load(
    _ data: Configuration.Data, fetch: Bool = true, verify: Bool = false, reporting: DataReporting
  ) throws -> ImageDataset {
    let path = data.path.isEmpty ? nil : data.path
    func cifar(_ kind: CIFAR) throws -> ImageDataset {
      try kind.load(path: path, fetch: fetch, verify: verify, reporting: reporting)
    }
    switch data.dataset {
    case .fashionMNIST: return try FashionMNIST.load(fetch: fetch, verify: verify, reporting: reporting)
    case .cifar10: return try cifar(.ten)
    case .cifar100: return try cifar(.hundred)
    case .folder:
      return try ImageFolder(directory: data.path, size: data.imageSize, skipsCorrupt: data.skipCorrupt)
        .load(verify: verify, reporting: reporting)
    case .idx: return try IDXDataset.load(directory: data.path)
    }
  }

  /// The precision that `auto` stands for on a device.
  public static func resolved(_ precision: Configuration.Precision, on device: Device)
    -> Configuration.Precision
  {
    guard precision == .auto else { return precision }
    return device != .cpu || processorMultipliesBFloat16 ? .bf16 : .fp32
  }

  /// Whether the processor has bfloat16 products; without them they are slower than `float32` ones.
  static let processorMultipliesBFloat16: Bool = {
    let description = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let flags = description.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") }
    return (flags ?? "").split(separator: " ").contains { ["avx512_bf16", "amx_bf16", "bf16"].contains($0) }
  }()
}

extension ImageDataset {
  /// The numbers of classes that are chosen by name or number.
  ///
  /// - Throws: `Failure` for a choice that means no class, or one that might mean two, and for a class named twice.
  func numbers(of choices: [ClassChoice]) throws -> [Int] {
    let all = Array(classNames.indices)
    let numbers = try choices.map { choice in
      do {
        return try choice.position(in: classNames, numbers: all)
      } catch let error as ClassChoice.Problem {
        throw Failure(
          error, "data.classes", classNames, numbers: all,
          unknown: "\(name) has no class \"\(choice)\"." + suggestion(for: choice.text, among: classNames))
      }
    }
    guard Set(numbers).count == numbers.count else {
      throw Failure(.usage, "data.classes names a class twice: \(choices).")
    }
    return numbers
  }
}

extension Failure {
  /// What a user is told of a choice that means no class, or might mean two.
  init(
    _ problem: ClassChoice.Problem, _ place: String, _ names: [String], numbers: [Int],
    unknown: @autoclosure () -> String
  ) {
    switch problem {
    case .unknown:
      self.init(.usage, unknown(), remedies: ["Its classes:"] + zip(numbers, names).map { "\($0): \($1)" })
    case .ambiguous(let choice, let named, let numbered):
      self.init(
        .usage,
        "\(place): \(choice) is the name of class number \(numbers[named]) and the number of class "
          + "\"\(names[numbered])\".",
        remedies: ["For the one of that name: name:\(choice). For the one of that number: number:\(choice)."])
    }
  }
}
