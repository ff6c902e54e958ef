import Experiment
import Foundation
import Safetensors

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
  /// - Throws: `Failure` if it is missing, damaged or another capture.
  public init(path: String) throws {
    do {
      let file = try SafetensorsFile(path: path)
      try file.checkIntegrity()
      let shape = try file.entry("logits").shape
      guard shape.count == 3, shape[1] > 1 else {
        throw SafetensorsError(file: path, reason: "is no capture of trajectories")
      }
      lambdas = try file.numbers("lambda", [shape[0]])
      labels = try file.integers("labels", count: shape[0])
      partners = try file.integers("partner_labels", count: shape[0])
      pairs = try file.integers("pairs", count: shape[0])
      classes = try file.integers("classes")
      guard (labels + partners + classes).allSatisfy({ (0..<shape[2]).contains($0) }) else {
        throw SafetensorsError(file: path, reason: "a label is not in 0 ..< \(shape[2])")
      }
      logits = try file.numbers("logits", shape)
      layers = shape[1]
      names = file.classNames(shape[2])
      self.file = file
    } catch let error as SafetensorsError {
      let exists = FileManager.default.fileExists(atPath: path)
      throw Failure(
        exists ? .badData : .missing, "\(error).",
        remedies: ["collapse capture RUN --trajectories --class-count 3 makes such a capture."])
    }
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

/// In which order the layers of a transformer see the two classes of a mixture (section 2.4 of the
/// paper): over all different-class mixtures of a capture in which one class has a given weight.
///
/// A class is *seen* from the layer on from which the classifier, applied to the class token, puts it
/// ahead of every class that is not in the mixture, up to the last layer; the first is number 1.
public struct LayerOrder: Sendable, Equatable {
  /// The weight of the heavier class: the value of the capture's grid that is nearest to the one asked.
  public let weight: Double
  /// Number of mixtures.
  public let mixtures: Int
  /// Mean layer from which on the class is seen, over the mixtures in which it is; nil if in none.
  public let heavierLayer, lighterLayer: Double?
  /// Share of the mixtures in which the lighter class is seen in a later layer than the heavier one, and
  /// in an earlier one; what is never seen comes last.
  public let lighterLater, lighterEarlier: Double
  /// Share of the mixtures in which the lighter class is not seen at the last layer.
  public let lighterNever: Double
  /// Mean of p_lighter/(p_heavier + p_lighter), one a layer from the embedding on.
  public let lighterShare: [Double]

  /// Measures a capture.
  ///
  /// - Throws: `Failure` if it has no different-class mixture but half and half.
  public init(_ capture: CapturedTrajectories, weight: Double) throws {
    guard let weight = capture.nearestWeight(weight) else {
      throw Failure(
        .badData, "\(capture.file.path) has no uneven mixture of two classes.",
        remedies: ["collapse capture RUN --trajectories --lambdas 11 makes such a capture."])
    }
    let mixtures = capture.mixtures(weight: weight)
    let count = Double(mixtures.count)
    let order = mixtures.map { mixture in
      (
        heavier: capture.layerOfAppearance(of: mixture.heavier, in: mixture),
        lighter: capture.layerOfAppearance(of: mixture.lighter, in: mixture)
      )
    }
    func mean(_ layers: [Int]) -> Double? {
      layers.isEmpty ? nil : Double(layers.reduce(0, +)) / Double(layers.count)
    }
    func share(_ isMeant: ((heavier: Int, lighter: Int)) -> Bool) -> Double {
      let never = capture.layers
      return Double(order.filter { isMeant(($0.heavier ?? never, $0.lighter ?? never)) }.count) / count
    }
    self.weight = weight
    self.mixtures = mixtures.count
    heavierLayer = mean(order.compactMap(\.heavier))
    lighterLayer = mean(order.compactMap(\.lighter))
    lighterLater = share { $0.lighter > $0.heavier }
    lighterEarlier = share { $0.lighter < $0.heavier }
    lighterNever = share { $0.lighter == capture.layers }
    lighterShare = (0..<capture.layers).map { layer in
      let shares = mixtures.map { mixture -> Double in
        let p = capture.probabilities(mixture.sample, layer)
        let both = p[mixture.heavier] + p[mixture.lighter]
        return both > 0 ? p[mixture.lighter] / both : 0.5
      }
      return shares.reduce(0, +) / count
    }
  }
}
