import Arrays
import Problems
import Records

/// A capture of class tokens on their way through the layers, read for figures and tables.
///
/// Needs `logits` (n×layers×C, what the classifier makes of each layer's token), `lambda`, `labels`,
/// `partner_labels`, `pairs` and `classes`.
public struct CapturedTrajectories: Sendable {
  /// A mixture of two classes, by how much of each there is.
  struct Mixture {
    let sample: Int
    /// The class of the greater weight, and that of the lesser.
    let heavier, lighter: Int
  }

  let file: SafetensorsFile
  let lambdas: [Double]
  let labels, partners, pairs, classes: [Int]
  let names: [String]
  /// Layers with the embedding before the first, which is number 0.
  let layers: Int
  private let logits: [Double]

  /// Reads a file.
  ///
  /// - Throws: `Problem` if it is missing, damaged or another capture.
  public init(path: String) throws {
    do {
      let file = try SafetensorsFile(path: path)
      try file.checkIntegrity()
      let shape = try file.entry(.logits).shape
      guard shape.count == 3, shape[1] > 1 else {
        throw Problem(file: path, "is no capture of trajectories")
      }
      lambdas = try file.numbers(.lambda, [shape[0]])
      labels = try file.integers(.labels, count: shape[0])
      partners = try file.integers(.partnerLabels, count: shape[0])
      pairs = try file.integers(.pairs, count: shape[0])
      classes = try file.integers(.classes)
      try file.check(labels + partners + classes, below: shape[2])
      logits = try file.numbers(.logits, shape)
      layers = shape[1]
      names = file.classNames(shape[2])
      self.file = file
    } catch let problem as Problem {
      throw Self.refusal(problem, path)
    }
  }

  /// What is wrong with a file where a capture of class tokens is needed.
  static func refusal(_ problem: Problem, _ path: String) -> Problem {
    problem.ofCapture(path, missing: .missingTrajectories, other: .notTrajectories)
  }

  /// The logits of a sample's token after a layer.
  private func logits(_ sample: Int, _ layer: Int) -> ArraySlice<Double> {
    let start = (sample * layers + layer) * names.count
    return logits[start..<start + names.count]
  }

  /// What the classifier would predict from a sample's token after a layer.
  func probabilities(_ sample: Int, _ layer: Int) -> [Double] { softmax(logits(sample, layer)) }

  /// Of the weights that the heavier class of a mixture has, that which is nearest to one asked for, the
  /// smaller of two; nil if all mixtures of two classes are half and half.
  func nearestWeight(_ weight: Double) -> Double? {
    let weights = labels.indices.filter { labels[$0] != partners[$0] }
      .map { max(lambdas[$0], 1 - lambdas[$0]) }.filter { $0 > 0.5 + Self.tolerance }
    return weights.sorted().min { abs($0 - weight) + Self.tolerance < abs($1 - weight) }
  }

  /// By which λ and 1 − λ of a grid may differ.
  private static let tolerance = 1e-6

  /// Different-class mixtures in which one class has that weight, more than ½: λ or 1 − λ.
  func mixtures(weight: Double) -> [Mixture] {
    labels.indices.compactMap { sample in
      let (first, second) = (labels[sample], partners[sample])
      let isHeavy = abs(lambdas[sample] - weight) < Self.tolerance
      guard first != second, isHeavy || abs(1 - lambdas[sample] - weight) < Self.tolerance else { return nil }
      return Mixture(
        sample: sample, heavier: isHeavy ? first : second, lighter: isHeavy ? second : first)
    }
  }

  /// The layer from which on, up to the last, a class of a mixture is ahead of every class that is not
  /// in the mixture; nil if it is not even at the last. Two classes have no third: then it is 1.
  func layerOfAppearance(of label: Int, in mixture: Mixture) -> Int? {
    // The token before the first layer is the same for all images.
    let isAhead = (1..<layers).map { layer in
      let values = Array(logits(mixture.sample, layer))
      return values.indices.allSatisfy { other in
        other == mixture.heavier || other == mixture.lighter || values[other] < values[label]
      }
    }
    let unseen = (isAhead.lastIndex(of: false) ?? -1) + 1
    return unseen < isAhead.count ? unseen + 1 : nil
  }
}
