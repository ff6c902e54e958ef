import Problems

extension Problem {
  /// What a measure cannot take.
  ///
  /// - Parameters:
  ///   - operation: the measure.
  ///   - arguments: what it was given, tensors as shapes.
  ///   - code: by default that its arguments do not fit each other.
  init(
    operation: String, arguments: [String] = [], reason: String, code: ProblemCode = .unfitArrays
  ) {
    self.init(code, operation, reason)
  }
}
