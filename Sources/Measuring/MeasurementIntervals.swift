import Arrays
import Geometry
import Problems
import Randomness
import Records
import Torch

/// Intervals by resampling, of all numbers but those of a classifier alone, which is no sample.
extension MeasurementParts {
  /// Features and probabilities that resampling may hold: several GB with a resampled set and what is computed.
  private static let heldNumbers = 200_000_000

  /// Samples in memory.
  private struct Held {
    var rows: Tensor
    var labels: [Int]

    init(_ batches: LabelledBatches) throws {
      var parts: [Tensor] = []
      var labels: [Int] = []
      try batches.forEach {
        parts.append($0)
        labels += $1
      }
      rows = try Tensor.concatenated(parts).checked()
      self.labels = labels
    }

    /// Some of them, some of those several times.
    func drawn(_ indices: [Int]) throws -> (rows: Tensor, labels: [Int]) {
      (try rows.indexSelected(Tensor(indices)).checked(), indices.map { labels[$0] })
    }
  }

  /// Refuses to resample what is too much to be held.
  func checkHeld() throws {
    let (numbers, overflow) = count.multipliedReportingOverflow(by: features.rowWidth + classes)
    guard !overflow, numbers <= Self.heldNumbers else {
      throw Problem(
        .tooManyToResample, file.path,
        "\(count) features of length \(features.rowWidth) in \(classes) classes are too many to be held and drawn "
          + "from.")
    }
  }

  /// Measures resampled sets: for collapse drawn within classes, for calibration among all.
  mutating func resample(_ request: MeasureRequest) throws {
    let stream = Self.stream(request, "bootstrap")
    let sets = request.resamples
    var found = isCalibrationAlone ? [:] : try collapseIntervals(sets, stream.split("features"))
    for index in result.layers.indices {
      result.layers[index].intervals = try layerIntervals(
        result.layers[index], sets, stream.split("layers").split(index))
    }
    if let (rows, areLogits) = try predictions() {
      found.merge(try calibrationIntervals(rows, areLogits, "", request, stream.split("calibration"))) { $1 }
    }
    if let (array, areLogits) = try testOutputs() {
      let rows = try testBatches(array)
      found.merge(try calibrationIntervals(rows, areLogits, "test.", request, stream.split("test"))) { $1 }
    }
    result.intervals = found
  }

  /// Of the features, with test and foreign ones drawn beside them.
  private func collapseIntervals(_ sets: Int, _ stream: RandomStream) throws -> [String: [Double]] {
    let own = try Held(batches(features))
    let logits = try classifier == nil ? outputs().map { try Held(batches($0.rows)) } : nil
    var (test, testLogits, foreign): (Held?, Held?, Held?)
    if let array = try file.array(.testFeatures) {
      test = try Held(testBatches(array))
      testLogits = try classifier == nil ? testOutputs().map { try Held(testBatches($0.rows)) } : nil
    }
    if let array = try file.array(.foreignFeatures) { foreign = try Held(foreignBatches(array)) }
    // Each class is a group that keeps its size, and so are the test and the foreign samples.
    let ends = [own.labels.count, test?.labels.count ?? 0, foreign?.labels.count ?? 0]
    let groups =
      own.labels + Array(repeating: classes, count: ends[1]) + Array(repeating: classes + 1, count: ends[2])
    let resampled = try Bootstrap(
      of: result.numbers, count: groups.count, groups: groups, resamples: sets, stream
    ) {
      indices in
      let ownIndices = indices.filter { $0 < ends[0] }
      let (rows, labels) = try own.drawn(ownIndices)
      let moments = try ClassMoments(LabelledBatches(rows, labels: labels), classes: classes)
      var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
      let again = nearest
      try nearest.add(rows, labels: labels, logits: logits?.drawn(ownIndices).rows)
      var list = try CollapseMetrics(moments, nearest, classifier: classifier).numbers
      if let test {
        let drawn = indices.filter { (ends[0]..<ends[0] + ends[1]).contains($0) }.map { $0 - ends[0] }
        let (rows, labels) = try test.drawn(drawn)
        var nearest = again
        try nearest.add(rows, labels: labels, logits: testLogits?.drawn(drawn).rows)
        list.append(nearest.testNumbers, under: "test")
      }
      if let foreign {
        let drawn = indices.filter { $0 >= ends[0] + ends[1] }.map { $0 - ends[0] - ends[1] }
        let (rows, labels) = try foreign.drawn(drawn)
        let mean = try ClassMoments(LabelledBatches(rows, labels: labels), classes: 1)
        list.append(["nc5_ood_orthogonality": try moments.orthogonality(to: mean)])
      }
      return list
    }
    return resampled.ends.filter { !$0.key.hasPrefix("classifier.") }
  }

  private func layerIntervals(_ layer: Measurement.Layer, _ sets: Int, _ stream: RandomStream) throws
    -> [String: [Double]]
  {
    let (array, classifier, bias) = try layerArrays(layer.name)
    let own = try Held(batches(array))
    let logits = try classifier == nil ? outputs().map { try Held(batches($0.rows)) } : nil
    let resampled = try Bootstrap(
      of: layer.numbers, count: own.labels.count, groups: own.labels, resamples: sets, stream
    ) { indices in
      let (rows, labels) = try own.drawn(indices)
      let moments = try ClassMoments(LabelledBatches(rows, labels: labels), classes: classes)
      var nearest = try NearestClassMean(moments, classifier: classifier, bias: bias)
      try nearest.add(rows, labels: labels, logits: logits?.drawn(indices).rows)
      return try CollapseMetrics(moments, nearest, classifier: classifier).numbers
    }
    return resampled.ends.filter { !$0.key.hasPrefix("classifier.") }
  }

  /// Of calibration, and of the temperature, whose two halves are drawn from each by itself.
  private func calibrationIntervals(
    _ rows: LabelledBatches, _ areLogits: Bool, _ prefix: String, _ request: MeasureRequest,
    _ stream: RandomStream
  ) throws -> [String: [Double]] {
    let predictions = try Self.predictions(rows, areLogits: areLogits, keeping: true)
    let calibration = Bootstrap(
      of: result.numbers, count: predictions.count, resamples: request.resamples, stream.split("calibration")
    ) { indices in
      var list: NumberList = [:]
      list.append(Calibration(predictions.resampled(indices)).numbers, under: prefix + "calibration")
      return list
    }
    guard areLogits, rows.count >= 2 else { return calibration.ends }
    let held = try Held(rows)
    let isFitted = TemperatureScaling.half(of: rows.count, Self.stream(request, "temperature"))
    let temperature = try Bootstrap(
      of: result.numbers, count: rows.count, groups: isFitted.map { $0 ? 1 : 0 },
      resamples: request.resamples,
      stream.split("temperature")
    ) { indices in
      let (rows, labels) = try held.drawn(indices)
      var list: NumberList = [:]
      list.append(
        try TemperatureScaling(
          LabelledBatches(rows, labels: labels), fitted: indices.map { isFitted[$0] }
        ).numbers, under: prefix + "temperature_scaling")
      return list
    }
    return calibration.ends.merging(temperature.ends) { a, _ in a }
  }
}

extension Bootstrap {
  /// Lower and upper ends by name.
  fileprivate var ends: [String: [Double]] { intervals.mapValues { [$0.lower, $0.upper] } }
}

extension NearestClassMean {
  /// NC4 of test samples, by the names of docs/metrics.md.
  var testNumbers: NumberList {
    func share(_ count: Int) -> Double { Double(count) / Double(counts.samples) }
    return [
      "nc4_ncc_accuracy": share(counts.correct),
      "nc4_ncc_agreement_bias": hasPredictions ? share(counts.agreeing) : nil,
      "nc4_ncc_agreement_no_bias": hasClassifier ? share(counts.agreeingWithoutBias) : nil,
      "accuracy": hasPredictions ? share(counts.classifiedCorrectly) : nil,
    ]
  }
}
