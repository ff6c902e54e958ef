import Problems

/// A parameter for which the theory has no answer.
public struct TheoryError: CodedError, Equatable {
  public var code: ProblemCode { .outOfRange }
  /// The parameter, by the name that the paper gives it.
  public let parameter: String
  /// What it was.
  public let value: String
  /// What it may be.
  public let allowed: String

  /// An error of one parameter.
  public init(parameter: String, value: String, allowed: String) {
    self.parameter = parameter
    self.value = value
    self.allowed = allowed
  }

  public var description: String { "\(parameter) is \(value); it must be \(allowed)" }

  /// Refuses what is not a positive, finite number.
  static func requirePositive(_ value: Double, _ parameter: String) throws(TheoryError) {
    guard value > 0, value.isFinite else {
      throw TheoryError(parameter: parameter, value: "\(value)", allowed: "positive and finite")
    }
  }

  /// Refuses fewer than two classes, and more than doubles can count exactly enough.
  static func requireClasses(_ classes: Int) throws(TheoryError) {
    guard (2...1_000_000_000).contains(classes) else {
      throw TheoryError(
        parameter: "the number of classes C", value: "\(classes)", allowed: "from 2 to 1000000000")
    }
  }

  /// Refuses decays of the free classifier that are not positive and finite, or whose product the
  /// solver cannot work with; gives the product.
  static func requireDecays(classifier: Double, feature: Double) throws(TheoryError) -> Double {
    try requirePositive(classifier, "the classifier decay λ_W")
    try requirePositive(feature, "the feature decay λ_H")
    let product = classifier * feature
    guard (1e-30...1e250).contains(product) else {
      throw TheoryError(parameter: "λ_W λ_H", value: "\(product)", allowed: "from 1e-30 to 1e250")
    }
    return product
  }

  /// Refuses what is not a mixing weight.
  static func requireWeight(_ lambda: Double) throws(TheoryError) {
    guard (0...1).contains(lambda) else {
      throw TheoryError(parameter: "the mixing weight λ", value: "\(lambda)", allowed: "from 0 to 1")
    }
  }

  /// Refuses fewer dimensions than a simplex has, and a matrix that memory may not hold.
  static func requireDimension(_ dimension: Int, classes: Int) throws(TheoryError) {
    guard dimension < 1 || classes <= 500_000_000 / dimension else {
      throw TheoryError(
        parameter: "the feature dimension d", value: "\(dimension)",
        allowed: "such that C d is at most 500000000")
    }
    guard dimension >= classes - 1 else {
      throw TheoryError(
        parameter: "the feature dimension d", value: "\(dimension)",
        allowed: "at least C − 1 = \(classes - 1)")
    }
  }
}
