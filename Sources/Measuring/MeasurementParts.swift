import Arrays
import Geometry
import Problems
import Records
import Torch

/// A measurement on the way.
struct MeasurementParts {
  let file: ActivationFile
  /// Where there are none, what the network predicts.
  let features: StoredArray
  /// Whether only what the network predicts is there, so that calibration alone can be measured.
  let isCalibrationAlone: Bool
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
  /// What was found so far.
  var result: Measurement

  /// Samples that metrics of classes are measured on.
  var count: Int { places?.count ?? labels.count }

  /// Classes of which angles are listed one by one.
  private static let listedClasses = 128

  /// Reads what belongs together and checks it.
  init(_ file: ActivationFile) throws {
    self.file = file
    let isCalibrationAlone = try file.hasPredictionsAlone()
    self.isCalibrationAlone = isCalibrationAlone
    let predicted = try file.array(.logits) ?? file.array(.probabilities)
    features = try ActivationFile.rows(
      isCalibrationAlone ? predicted ?? file.required(.features) : file.required(.features))
    _ = try file.required(.labels)
    let weight = isCalibrationAlone ? nil : try file.array(.classifier)
    let chosen = try file.chosenClasses(of: weight?.shape.first)
    self.chosen = chosen
    func numbered(_ labels: [Int]) -> [Int] {
      guard let chosen else { return labels }
      return labels.map { chosen.firstIndex(of: $0)! }
    }
    labels = numbered(try file.labels(.labels) ?? [])
    let outputs = predicted
    try Self.check(features, labels, weight, everyClassOccurs: !isCalibrationAlone)
    let largest = labels.max() ?? 0
    if let outputs, outputs.count != labels.count {
      throw outputs.unfit("has \(outputs.count) rows, but there are \(labels.count) labels")
    }
    classes = chosen?.count ?? weight?.shape.first ?? outputs?.shape.dropFirst().first ?? largest + 1
    guard largest < classes else {
      throw features.unfit(
        "has the label \(largest) in row \(labels.firstIndex(of: largest) ?? 0), but classifier or logits are "
          + "of \(classes) classes, 0 ..< \(classes)")
    }
    guard isCalibrationAlone || classes <= labels.count else {
      throw features.unfit("has \(labels.count) rows for \(classes) classes; every class needs one")
    }
    let all = weight?.shape.first ?? classes
    let rows = chosen.map { Tensor($0) }
    func chosenRows(_ tensor: Tensor?) -> Tensor? { rows.map { tensor?.indexSelected($0) } ?? tensor }
    let (width, hasClassifier) = (features.rowWidth, !isCalibrationAlone)
    classifier = hasClassifier ? chosenRows(try file.tensor(.classifier, shape: [all, width])) : nil
    bias = hasClassifier ? chosenRows(try file.tensor(.bias, shape: [all])) : nil
    let partners = try file.labels(.partnerLabels).map(numbered)
    self.partners = partners
    if let partners, partners.count != labels.count {
      throw features.unfit("has \(labels.count) labels, but there are \(partners.count) partner labels")
    }
    let labels = labels
    places = partners.map { partners in labels.indices.filter { labels[$0] == partners[$0] } }
    result = Measurement(
      file: file.path, classes: classes, dimension: isCalibrationAlone ? 0 : features.rowWidth,
      samples: labels.count)
    result.isSealed = file.isSealed
    if isCalibrationAlone { result.notes.append("there are no features: calibration alone is measured") }
    noteChoices(of: all)
  }

  /// Refuses labels that do not number the classes of the features, and a classifier that is surely transposed.
  private static func check(
    _ features: StoredArray, _ labels: [Int], _ weight: StoredArray?, everyClassOccurs: Bool
  ) throws {
    guard features.count == labels.count else {
      throw features.unfit("has \(features.count) rows, but there are \(labels.count) labels")
    }
    if let weight, weight.shape.count == 2, weight.shape[0] == features.rowWidth,
      weight.shape[1] != features.rowWidth
    {
      throw weight.unfit(
        "has shape \(weight.shape); C×d is needed, and this looks like d×C, as Flax and Keras have it: write its "
          + "transpose")
    }
    if let least = labels.firstIndex(where: { $0 < 0 }) {
      throw features.unfit("has the label \(labels[least]) in row \(least); labels number classes from 0")
    }
    guard everyClassOccurs else { return }
    // Every class needs a sample, so there are no more classes than samples.
    let largest = labels.max() ?? 0
    guard largest < labels.count else {
      throw features.unfit(
        "has the label \(largest) in row \(labels.firstIndex(of: largest) ?? 0), but only \(labels.count) rows; "
          + "labels number classes from 0, and every class needs a row")
    }
  }

  /// Says which samples and classes are measured where it is not all of them.
  private mutating func noteChoices(of all: Int) {
    if let chosen {
      result.notes.append(
        "the file is of the classes \(chosen.map(String.init).joined(separator: ", ")) of \(all): they are numbered "
          + "from 0, and the classifier is that of them alone")
    }
    if let places {
      result.notes.append(
        "collapse and calibration are measured on the \(places.count) mixtures of one class among "
          + "\(labels.count)")
    }
  }

  /// Measures all that there is.
  mutating func measure(_ request: MeasureRequest, _ note: (String) -> Void) throws {
    if request.resamples > 0 { try checkHeld() }
    if places?.isEmpty == true {
      throw Problem(.emptyClass, file.path, "\(file.path): class 0 has no same-class sample.")
    }
    defer { result.notes += file.notes }
    guard !isCalibrationAlone else {
      try measureCalibration(request, note)
      if request.resamples > 0 { try resample(request) }
      return
    }
    if let array = try file.array(.lambda), let partners {
      note("measuring the configuration of mixtures")
      try measureMixtures(array, partners)
    }
    try checkClassifier()
    note("measuring \(count) features of length \(features.rowWidth)")
    let (metrics, moments) = try measureCollapse(features, classifier, bias)
    result.numbers.append(metrics.numbers)
    if classes <= Self.listedClasses {
      result.classGeometry = try ClassGeometry(moments, classifier: classifier)
    }
    try measureTest(moments)
    if let other = try file.array(.foreignFeatures) { try measureForeign(other, moments) }
    for name in file.layers {
      note("measuring layer \(name)")
      do {
        result.layers.append(try layer(name))
      } catch let problem as Problem where problem.code == .undefinedMeasure {
        // Such as the class token before the first block, which is the same for every image.
        result.notes.append("layer \(name) is left out: \(problem.reason)")
      }
    }
    try measureCalibration(request, note)
    if request.resamples > 0 {
      note("measuring \(request.resamples) resampled sets")
      try resample(request)
    }
  }
}

// MARK: - Rows

extension MeasurementParts {
  /// The rows of an array that belong to the samples measured.
  func batches(_ array: StoredArray) throws -> LabelledBatches {
    try file.batches(array, labels: labels, places: places, classes: classes)
  }

  /// The rows of an array of test samples with their classes.
  func testBatches(_ array: StoredArray) throws -> LabelledBatches {
    guard let testLabels = try file.labels(.testLabels) else {
      throw array.unfit("is there, but test_labels is not")
    }
    if let row = testLabels.firstIndex(where: { !(0..<classes).contains($0) }) {
      throw array.unfit(
        "is there, but test_labels has the label \(testLabels[row]) in row \(row), which is not in 0 ..< \(classes)"
      )
    }
    return try file.batches(array, labels: testLabels, classes: classes)
  }

  /// The rows of features of another distribution, as one class.
  func foreignBatches(_ array: StoredArray) throws -> LabelledBatches {
    let array = try ActivationFile.rows(array)
    return try file.batches(array, labels: Array(repeating: 0, count: array.count), classes: 1)
  }

  /// Features of a layer, and the classifier on them where there is one.
  func layerArrays(_ name: String) throws -> (features: StoredArray, classifier: Tensor?, bias: Tensor?) {
    let array = try ActivationFile.rows(file.required(.features, ofLayer: name))
    return try (
      array, file.tensor(.classifier, ofLayer: name, shape: [classes, array.rowWidth]),
      file.tensor(.bias, ofLayer: name, shape: [classes])
    )
  }

  /// Logits or probabilities, as they are in the file.
  func outputs() throws -> (rows: StoredArray, areLogits: Bool)? { try outputs(.logits, .probabilities) }

  /// The same of test samples.
  func testOutputs() throws -> (rows: StoredArray, areLogits: Bool)? {
    try outputs(.testLogits, .testProbabilities)
  }

  private func outputs(_ logits: ActivationArray, _ probabilities: ActivationArray) throws
    -> (rows: StoredArray, areLogits: Bool)?
  {
    // Those of the file are of all classes; of some they are computed.
    if chosen != nil { return nil }
    if let array = try file.array(logits) { return (try ActivationFile.rows(array), true) }
    return try file.array(probabilities).map { (try ActivationFile.rows($0), false) }
  }
}
