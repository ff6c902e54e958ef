import Problems
import Records
import Torch

extension Measurement {
  /// Measures what a file holds: docs/metrics.md says which arrays give which numbers.
  ///
  /// - Parameter note: told what is being done.
  /// - Throws: `Problem` naming the file and what in it cannot be used; `TorchError` when memory is short.
  public init(_ request: MeasureRequest, note: (String) -> Void = { _ in }) throws {
    var files: Set = [request.file]
    do {
      let file = try ActivationFile(request)
      defer { files.formUnion(file.paths) }
      var parts = try MeasurementParts(file)
      try parts.measure(request, note)
      self = parts.result
    } catch let problem as Problem {
      throw files.contains(problem.subject) ? problem.whole : problem.ofMeasure(request.file).whole
    } catch let error as TorchError where error.code != .outOfMemory {
      throw Problem(.unfitArrays, request.file, "\(request.file): \(error.reason)").whole
    }
  }
}

extension Problem {
  /// With the full stop that those of arrays and measures lack.
  fileprivate var whole: Problem { Problem(code, subject, sentence, choices: choices) }

  /// What a measure cannot take, with the file that it was given, which it does not know; any other as it is.
  fileprivate func ofMeasure(_ file: String) -> Problem {
    guard [.unfitArrays, .emptyClass, .undefinedMeasure].contains(code) else { return self }
    return Problem(code, file, "\(file): \(reason)", choices: choices)
  }
}
