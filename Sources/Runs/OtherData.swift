import Datasets
import Experiment
import Geometry
import Problems
import Records
import Tasks
import Torch
import Training

extension TrainedNetwork {
  /// What the network does on other images than its own.
  ///
  /// Classes are matched by their names; where no name is known and all are numbers, by their numbers in the run's data
  /// set.
  ///
  /// - Parameters:
  ///   - task: which images, and whether they are of none of the network's classes.
  ///   - reporting: told how far it is.
  /// - Throws: `Problem` for images of another size, or of classes that the network does not know.
  public func evaluate(_ task: OtherDataTask, reporting: DataReporting) throws -> OtherDataReport {
    let data = task.data.anchored
    var request = DatasetDescriptor.Request(path: data.path.isEmpty ? nil : data.path)
    let shape = setup.dataset.source.shape
    request.imageSize = data.imageSize
    if data.dataset.descriptor.hasImageOptions, request.imageSize == 0, shape.height == shape.width {
      request.imageSize = shape.height
    }
    request.skipsCorrupt = data.skipCorrupt
    request.fetch = true
    var report = OtherDataReport(data: data.path.isEmpty ? data.dataset.name : data.path, own: try evaluate())
    var foreign = Scores()
    let reference = task.areForeign ? try ForeignReference(self) : nil
    try TestImages.forEach(of: data.dataset.descriptor, request, reporting: reporting) { set in
      guard set.images.shape == shape else {
        throw Problem(
          .malformedData, set.name,
          "\(set.name): its images are \(set.images.shape), those that the network was trained on \(shape).")
      }
      let title = set.severity.map { "\(set.name), severity \($0)" } ?? set.name
      reporting("evaluating \(title)", 0)
      if let reference {
        foreign.append(
          try reference.scores(of: DeviceImages(set.images, on: setup.dataset.device, isResident: false)))
      } else {
        let (images, note) = try known(set)
        let placed = try DeviceImages(images, on: setup.dataset.device, isResident: false)
        let logits = try setup.network.logits(of: placed, batchSize: setup.configuration.evaluation.batchSize)
        let evaluation = Evaluation(try Calibration(logits: logits, labels: images.labels))
        report.sets.append(
          .init(name: set.name, severity: set.severity, images: images.count, evaluation: evaluation))
        if let note, !report.notes.contains(note) { report.notes.append(note) }
      }
    }
    if let reference { report.detection = try reference.detections(of: foreign) }
    return report
  }

  /// The images of classes that the network knows, with its numbers.
  private func known(_ set: TestImages) throws -> (ImageSet, note: String?) {
    let source = setup.dataset.source
    var outputs = set.classNames.map { source.classNames.firstIndex(of: $0) }
    if outputs.allSatisfy({ $0 == nil }) {
      outputs = set.classNames.map { name in Int(name).flatMap { source.classNumbers.firstIndex(of: $0) } }
    }
    let unknown = zip(set.classNames, outputs).filter { $1 == nil }.map(\.0)
    guard unknown.count < set.classNames.count else {
      throw Problem(
        .unknownClass, set.name,
        "\(set.name) has the classes \(set.classNames.prefix(8).joined(separator: ", ")), of which the network knows none; "
          + "for images of other classes there is --ood.",
        choices: zip(source.classNumbers, source.classNames).map { "\($0): \($1)" })
    }
    let places = set.images.labels.indices.filter { outputs[set.images.labels[$0]] != nil }
    let kept = set.images.selected(places).relabelled { outputs[$0]! }
    let note =
      unknown.isEmpty
      ? nil
      : "\(set.images.count - places.count) images of \(unknown.count) classes that the network does not know are left "
        + "out: \(unknown.prefix(8).joined(separator: ", "))"
    return (kept, note)
  }
}

/// Scores by which foreign images are told from the run's own, one an image.
private struct Scores {
  var confidence: [Double] = []
  var energy: [Double] = []
  var distance: [Double] = []

  mutating func append(_ other: Scores) {
    confidence += other.confidence
    energy += other.energy
    distance += other.distance
  }
}

/// A network with the class means of its training images, and the scores of its test images.
private struct ForeignReference {
  private let network: Network
  private let batchSize: Int
  /// C×d less their mean, which is 1×d.
  private let means, center: Tensor
  private var own = Scores()

  init(_ trained: TrainedNetwork) throws {
    network = trained.setup.network
    batchSize = trained.setup.configuration.evaluation.batchSize
    let training = trained.setup.dataset.training
    let features = try network.forward(.all(training, batchSize: batchSize), probes: [.features])
      .finite().features!
    let moments = try ClassMoments(
      LabelledBatches(features, labels: training.labels), classes: trained.setup.dataset.source.classes)
    center = try moments.globalMean()
    means = try checkingErrors { [center] in moments.classMeans - center }
    own = try scores(of: trained.setup.dataset.test)
  }

  func scores(of images: DeviceImages) throws -> Scores {
    let found = try network.forward(.all(images, batchSize: batchSize), probes: [.features, .logits]).finite()
    let (x, z) = (found.features!.to(.float64) - center, found.logits!.to(.float64))
    return try checkingErrors {
      let largest = z.max([1], keepDimensions: true)
      // log Σ exp z = z_c − log softmax z of any class c.
      let energy = largest - z.logSoftmax(1).max([1], keepDimensions: true)
      let squares = (means * means).sum([1]) - x.matmul(means.transposed()) * 2
      let distances = squares.min([1]) + (x * x).sum([1])
      return try Scores(
        confidence: z.softmax(1).max([1]).array(Double.self),
        energy: energy.reshaped([images.count]).array(Double.self),
        distance: distances.array(Double.self).map { -max(0, $0).squareRoot() })
    }
  }

  func detections(of foreign: Scores) throws -> [OtherDataReport.Detection] {
    [
      ("confidence", own.confidence, foreign.confidence), ("energy", own.energy, foreign.energy),
      ("distance", own.distance, foreign.distance),
    ].map { name, own, foreign in
      let detection = Detection(own: own, foreign: foreign)
      return .init(
        score: name, images: foreign.count, auroc: detection.areaUnderROC,
        fpr95: detection.falsePositiveRateAt95)
    }
  }
}
