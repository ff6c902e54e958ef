import Arrays
import Experiment
import Foundation
import Geometry
import Randomness
import Torch

/// A measurement on the way.
struct MeasurementParts {
  let file: ActivationFile
  let features: StoredArray
  let labels: [Int]
  /// Classes of the other images of mixtures; nil where there are none.
  let partners: [Int]?
  let classes: Int
  /// The network's classes that a capture is of, in order, where it is not of all.
  let chosen: [Int]?
  let classifier: Tensor?
  let bias: Tensor?
  /// Places of the samples that metrics of classes are measured on: of mixtures those of one class; nil: all.
  let places: [Int]?
  var notes: [String] = []
  var numbers: NumberList = [:]
  var layers: [Measurement.Layer] = []
  var reliability: [Calibration.Bin]?
  var testReliability: [Calibration.Bin]?
  var classGeometry: ClassGeometry?
  var configuration: MixupConfiguration?
  var intervals: [String: [Double]]?

  /// Classes of which angles are listed one by one.
  private static let listedClasses = 128
  /// Logits that are computed and held where the file has none: 160 MB.
  private static let heldLogits = 20_000_000

  /// Reads what belongs together and checks it.
  init(_ file: ActivationFile) throws {
    self.file = file
    features = try ActivationFile.rows(file.required("features"))
    _ = try file.required("labels")
    let weight = try file.array("classifier")
    let chosen = try file.chosenClasses(of: weight?.shape.first)
    self.chosen = chosen
    func numbered(_ labels: [Int]) -> [Int] {
      guard let chosen else { return labels }
      return labels.map { chosen.firstIndex(of: $0)! }
    }
    labels = numbered(try file.labels("labels") ?? [])
    guard features.count == labels.count else {
      throw features.failure("has \(features.count) rows, but there are \(labels.count) labels")
    }
    if let weight, weight.shape.count == 2, weight.shape[0] == features.rowWidth,
      weight.shape[1] != features.rowWidth
    {
      throw weight.failure(
        "has shape \(weight.shape); C×d is needed, and this looks like d×C, as Flax and Keras have it: write its "
          + "transpose")
    }
    let outputs = try file.array("logits") ?? file.array("probabilities")
    let largest = labels.max() ?? 0
    if let least = labels.firstIndex(where: { $0 < 0 }) {
      throw features.failure("has the label \(labels[least]) in row \(least); labels number classes from 0")
    }
    // Every class needs a sample, so there are no more classes than samples.
    guard largest < labels.count else {
      throw features.failure(
        "has the label \(largest) in row \(labels.firstIndex(of: largest) ?? 0), but only \(labels.count) rows; "
          + "labels number classes from 0, and every class needs a row")
    }
    if let outputs, outputs.count != labels.count {
      throw outputs.failure("has \(outputs.count) rows, but there are \(labels.count) labels")
    }
    classes = chosen?.count ?? weight?.shape.first ?? outputs?.shape.dropFirst().first ?? largest + 1
    guard largest < classes else {
      throw features.failure(
        "has the label \(largest) in row \(labels.firstIndex(of: largest) ?? 0), but classifier or logits are "
          + "of \(classes) classes, 0 ..< \(classes)")
    }
    guard classes <= labels.count else {
      throw features.failure("has \(labels.count) rows for \(classes) classes; every class needs one")
    }
    let all = weight?.shape.first ?? classes
    let rows = chosen.map { Tensor($0) }
    func chosenRows(_ tensor: Tensor?) -> Tensor? { rows.map { tensor?.indexSelected($0) } ?? tensor }
    classifier = chosenRows(try file.tensor("classifier", shape: [all, features.rowWidth]))
    bias = chosenRows(try file.tensor("bias", shape: [all]))
    let partners = try file.labels("partner_labels").map(numbered)
    self.partners = partners
    if let partners, partners.count != labels.count {
      throw features.failure("has \(labels.count) labels, but there are \(partners.count) partner labels")
    }
    let labels = labels
    places = partners.map { partners in labels.indices.filter { labels[$0] == partners[$0] } }
    if let chosen {
      notes.append(
        "the file is of the classes \(chosen.map(String.init).joined(separator: ", ")) of \(all): they are numbered "
          + "from 0, and the classifier is that of them alone")
    }
    if let places {
      notes.append(
        "collapse and calibration are measured on the \(places.count) mixtures of one class among "
          + "\(labels.count)")
    }
  }

  /// The rows of an array that belong to the samples measured.
  func batches(_ array: StoredArray) throws -> LabelledBatches {
    try file.batches(array, labels: labels, places: places, classes: classes)
  }

  mutating func measure(_ request: MeasureRequest, _ report: (String) -> Void) throws {
    if request.resamples > 0 { try checkHeld() }
    if places?.isEmpty == true {
      throw TorchError(operation: "measurement", reason: "class 0 has no same-class sample")
    }
    if let array = try file.array("lambda"), let partners {
      report("measuring the configuration of mixtures")
      try measureConfiguration(array, partners)
    }
    try checkClassifier()
    report("measuring \(places?.count ?? labels.count) features of length \(features.rowWidth)")
    let (metrics, moments) = try measureCollapse(features, classifier, bias)
    numbers.append(metrics.numbers)
    if classes <= Self.listedClasses {
      classGeometry = try ClassGeometry(moments, classifier: classifier)
    }
    try measureTest(moments)
    if let other = try file.array("ood_features") { try measureForeign(other, moments) }
    for name in file.layers {
      report("measuring layer \(name)")
      layers.append(try layer(name))
    }
    try measureCalibration(request, report)
    if request.resamples > 0 {
      report("measuring \(request.resamples) resampled sets")
      try resample(request)
    }
  }

  /// By how much of their length logits may differ from features·Wᵀ + b: half precision takes a hundredth.
  private static let logitTolerance = 0.05

  /// Refuses a classifier that is not the one of the logits beside it.
  ///
  /// The mean of each row is nothing to softmax, and is left out.
  private mutating func checkClassifier() throws {
    guard let classifier, chosen == nil, let array = try file.array("logits"), array.rowWidth == classes
    else {
      return
    }
    let range = 0..<min(features.count, 512)
    let x = try ActivationFile.tensor(features, range).to(.float64)
    let logits = try ActivationFile.tensor(ActivationFile.rows(array), range).to(.float64)
    func centred(_ rows: Tensor) -> Tensor { rows - rows.mean([1], keepDimensions: true) }
    let (length, given) = try checkingErrors {
      (try centred(logits).norm([0, 1]).item(), bias?.to(.float64))
    }
    /// The share of the logits that a weight does not give, and with the bias that fits best.
    func error(_ weight: Tensor) throws -> (as: Double, withBias: Double) {
      try checkingErrors {
        let rest = centred(x.linear(weight.to(.float64), bias: given) - logits)
        let shifted = rest - rest.mean([0], keepDimensions: true)
        return try (rest.norm([0, 1]).item() / length, shifted.norm([0, 1]).item() / length)
      }
    }
    let found = try error(classifier)
    // What is not finite is said with its place elsewhere.
    guard length > 0, found.as > Self.logitTolerance else { return }
    if bias == nil, found.withBias <= Self.logitTolerance {
      notes.append("the logits have a bias that is not in the file, so NC4 with bias is that without")
      return
    }
    let differ =
      "its logits are not features·Wᵀ" + (bias == nil ? "" : " + b")
      + String(format: " of its classifier: they differ by %.0f %% of their length", 100 * found.as)
    if classes == features.rowWidth, try error(classifier.transposed()).withBias <= Self.logitTolerance {
      throw Failure(
        .badData, "\(file.path): \(differ). With the classifier transposed they are the same.",
        remedies: ["Flax and Keras keep d×C; the classifier here is C×d: write its transpose."])
    }
    throw Failure(
      .badData, "\(file.path): \(differ).",
      remedies: [
        "Are features, logits and classifier of one network, and the features what its last layer gets?",
        "To measure without one of them: --without logits, or --without classifier.",
      ])
  }

  /// Two passes over features, with what the network predicts where that is known.
  private func measureCollapse(_ array: StoredArray, _ classifier: Tensor?, _ bias: Tensor?) throws
    -> (CollapseMetrics, ClassMoments)
  {
    let rows = try batches(array)
    let moments = try ClassMoments(rows, classes: classes)
    var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
    let logits = classifier == nil ? try outputs("") : nil
    if let logits {
      try ActivationFile.forEach(rows, logits.rows, places: places) { features, logits, labels in
        try nearest.add(features, labels: labels, logits: logits)
      }
    } else {
      try rows.forEach { try nearest.add($0, labels: $1) }
    }
    return (try CollapseMetrics(moments, nearest, classifier: classifier), moments)
  }

  private mutating func measureConfiguration(_ lambda: StoredArray, _ partners: [Int]) throws {
    guard let classifier else {
      notes.append("the configuration of mixtures is not measured: it needs a classifier")
      return
    }
    let features = try ActivationFile.tensor(features, 0..<features.count)
    let logits =
      chosen == nil
      ? try file.array("logits").map { try ActivationFile.tensor(ActivationFile.rows($0), 0..<$0.count) }
      : features.to(.float64).linear(classifier.to(.float64), bias: bias?.to(.float64))
    let lambdas = try ActivationFile.tensor(lambda, 0..<lambda.count).array(Double.self)
    configuration = try MixupConfiguration(
      MixedActivations(
        features: features, logits: logits, classifier: classifier,
        labels: labels, partnerLabels: partners, lambdas: lambdas))
  }

  private func layer(_ name: String) throws -> Measurement.Layer {
    let (array, classifier, bias) = try layerArrays(name)
    let metrics = try measureCollapse(array, classifier, bias).0
    return .init(name: name, dimension: array.rowWidth, numbers: metrics.numbers, intervals: nil)
  }

  /// Features of a layer, and the classifier on them where there is one.
  func layerArrays(_ name: String) throws -> (features: StoredArray, classifier: Tensor?, bias: Tensor?) {
    let array = try ActivationFile.rows(file.required("features.\(name)"))
    return try (
      array, file.tensor("classifier.\(name)", shape: [classes, array.rowWidth]),
      file.tensor("bias.\(name)", shape: [classes])
    )
  }

  /// The rows of an array of test samples with their classes.
  func testBatches(_ array: StoredArray) throws -> LabelledBatches {
    guard let testLabels = try file.labels("test_labels") else {
      throw array.failure("is there, but test_labels is not")
    }
    return try file.batches(array, labels: testLabels, classes: classes)
  }

  /// The rows of features of another distribution, as one class.
  func foreignBatches(_ array: StoredArray) throws -> LabelledBatches {
    let array = try ActivationFile.rows(array)
    return try file.batches(array, labels: Array(repeating: 0, count: array.count), classes: 1)
  }

  /// NC4 of test features against the means of these.
  private mutating func measureTest(_ moments: ClassMoments) throws {
    guard let array = try file.array("test_features") else { return }
    let rows = try testBatches(array)
    guard rows.width == features.rowWidth else {
      throw array.failure("has rows of \(rows.width) numbers, features of \(features.rowWidth)")
    }
    var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
    let logits = classifier == nil ? try outputs("test_") : nil
    if let logits {
      guard logits.rows.count == rows.count, logits.rows.rowWidth == classes else {
        throw logits.rows.failure(
          "has shape \(logits.rows.shape); \(rows.count) rows of \(classes) classes are needed")
      }
      try ActivationFile.forEach(rows, logits.rows) { try nearest.add($0, labels: $2, logits: $1) }
    } else {
      try rows.forEach { try nearest.add($0, labels: $1) }
    }
    numbers.append(nearest.testNumbers, under: "test")
  }

  /// NC5: class means against the mean of features of another distribution.
  private mutating func measureForeign(_ array: StoredArray, _ moments: ClassMoments) throws {
    let rows = try foreignBatches(array)
    guard rows.width == features.rowWidth else {
      throw array.failure("has rows of \(rows.width) numbers, features of \(features.rowWidth)")
    }
    let foreign = try ClassMoments(rows, classes: 1)
    numbers.append(["nc5_ood_orthogonality": try moments.orthogonality(to: foreign)])
  }

  /// Logits or probabilities, as they are in the file.
  func outputs(_ prefix: String) throws -> (rows: StoredArray, areLogits: Bool)? {
    // Those of the file are of all classes; of some they are computed.
    if chosen != nil { return nil }
    if let array = try file.array(prefix + "logits") { return (try ActivationFile.rows(array), true) }
    if let array = try file.array(prefix + "probabilities") { return (try ActivationFile.rows(array), false) }
    return nil
  }
}

// MARK: - Calibration

extension MeasurementParts {
  private mutating func measureCalibration(_ request: MeasureRequest, _ report: (String) -> Void) throws {
    let found = try predictions()
    if try classifier != nil && outputs("") == nil {
      notes.append(
        found == nil
          ? "calibration is not measured: there are no logits of these classes, and they would be too many to compute"
          : "calibration is that of the logits features·Wᵀ" + (bias == nil ? "" : " + b"))
    }
    if let (rows, areLogits) = found {
      report("measuring calibration")
      guard rows.width == classes else { throw width("logits", rows.width) }
      reliability = try measureCalibration(rows, areLogits: areLogits, request, "", "")
    }
    guard let (array, areLogits) = try outputs("test_") else { return }
    let rows = try testBatches(array)
    guard rows.width == classes else { throw width(array.name, rows.width) }
    testReliability = try measureCalibration(rows, areLogits: areLogits, request, "test.", " of test samples")
  }

  /// Adds the numbers of some predictions, and of a temperature for logits, below a level; gives the bins.
  private mutating func measureCalibration(
    _ rows: LabelledBatches, areLogits: Bool, _ request: MeasureRequest, _ level: String, _ which: String
  ) throws -> [Calibration.Bin] {
    let calibration = Calibration(try Self.predictions(rows, areLogits: areLogits))
    numbers.append(calibration.numbers, under: level + "calibration")
    if areLogits, rows.count >= 2 {
      let scaling = try TemperatureScaling(rows, Self.stream(request, "temperature"))
      numbers.append(scaling.numbers, under: level + "temperature_scaling")
      note(scaling, which)
    }
    return calibration.bins
  }

  /// Draws for a purpose: the half that a temperature is fitted to, or resampled sets.
  static func stream(_ request: MeasureRequest, _ purpose: String) -> RandomStream {
    RandomStream(seed: UInt64(bitPattern: Int64(request.seed))).split(purpose)
  }

  /// Says what a temperature at the end of its range means.
  private mutating func note(_ scaling: TemperatureScaling, _ which: String) {
    guard scaling.isAtBound else { return }
    notes.append(
      scaling.temperature < 1
        ? "the temperature\(which) is the least that is tried: every prediction of the half is right, and smaller is "
          + "better without end"
        : "the temperature\(which) is the largest that is tried: the logits say nothing of the classes")
  }

  private func width(_ name: String, _ width: Int) -> TorchError {
    TorchError(operation: "calibration", reason: "\(name) has \(width) columns for \(classes) classes")
  }

  static func predictions(_ rows: LabelledBatches, areLogits: Bool, keeping: Bool = false) throws
    -> Predictions
  {
    guard !areLogits else { return try Predictions(rows, keeping: keeping) }
    var predictions = Predictions(classes: rows.width, keeping: keeping)
    try rows.forEach { try predictions.add(probabilities: $0, labels: $1) }
    return predictions
  }

  /// Of the samples measured; from features and classifier where the file has neither logits nor probabilities
  /// and they are not too many.
  func predictions() throws -> (rows: LabelledBatches, areLogits: Bool)? {
    if let (rows, areLogits) = try outputs("") { return (try batches(rows), areLogits) }
    guard let classifier else { return nil }
    let count = places?.count ?? labels.count
    guard count * classes <= Self.heldLogits else { return nil }
    var logits: [Tensor] = []
    var chosen: [Int] = []
    try batches(features).forEach { rows, labels in
      let weight = classifier.to(.float64)
      logits.append(try rows.to(.float64).linear(weight, bias: bias?.to(.float64)).checked())
      chosen += labels
    }
    return (try LabelledBatches(Tensor.concatenated(logits), labels: chosen), true)
  }
}
