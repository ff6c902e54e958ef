import Geometry
import Problems
import Randomness
import Records
import Torch

extension MeasurementParts {
  /// Logits that are computed and held where the file has none: 160 MB.
  private static let heldLogits = 20_000_000

  /// Calibration of the samples measured, and of test samples.
  mutating func measureCalibration(_ request: MeasureRequest, _ note: (String) -> Void) throws {
    let found = try predictions()
    if try classifier != nil && outputs() == nil {
      result.notes.append(
        found == nil
          ? "calibration is not measured: there are no logits of these classes, and they would be too many to compute"
          : "calibration is that of the logits features·Wᵀ" + (bias == nil ? "" : " + b"))
    }
    if let (rows, areLogits) = found {
      note("measuring calibration")
      guard rows.width == classes else { throw width("logits", rows.width) }
      result.reliability = try measureCalibration(rows, areLogits: areLogits, request, "", "")
    }
    guard let (array, areLogits) = try testOutputs() else { return }
    let rows = try testBatches(array)
    guard rows.width == classes else { throw width(array.name, rows.width) }
    result.testReliability = try measureCalibration(
      rows, areLogits: areLogits, request, "test.", " of test samples")
  }

  /// Adds the numbers of some predictions, and of a temperature for logits, below a level; gives the bins.
  private mutating func measureCalibration(
    _ rows: LabelledBatches, areLogits: Bool, _ request: MeasureRequest, _ level: String, _ which: String
  ) throws -> [ReliabilityBin] {
    let calibration = Calibration(try Self.predictions(rows, areLogits: areLogits))
    result.numbers.append(calibration.numbers, under: level + "calibration")
    if areLogits, rows.count >= 2 {
      let scaling = try TemperatureScaling(rows, Self.stream(request, "temperature"))
      result.numbers.append(scaling.numbers, under: level + "temperature_scaling")
      noteBound(of: scaling, which)
    }
    return calibration.bins
  }

  /// Draws for a purpose: the half that a temperature is fitted to, or resampled sets.
  static func stream(_ request: MeasureRequest, _ purpose: String) -> RandomStream {
    RandomStream(seed: UInt64(bitPattern: Int64(request.seed))).split(purpose)
  }

  /// Says what a temperature at the end of its range means.
  private mutating func noteBound(of scaling: TemperatureScaling, _ which: String) {
    guard scaling.isAtBound else { return }
    result.notes.append(
      scaling.temperature < 1
        ? "the temperature\(which) is the least that is tried: every prediction of the half is right, and smaller is "
          + "better without end"
        : "the temperature\(which) is the largest that is tried: the logits say nothing of the classes")
  }

  private func width(_ name: String, _ width: Int) -> Problem {
    Problem(.unfitArrays, file.path, "\(file.path): \(name) has \(width) columns for \(classes) classes.")
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
    if let (rows, areLogits) = try outputs() { return (try batches(rows), areLogits) }
    guard let classifier else { return nil }
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
