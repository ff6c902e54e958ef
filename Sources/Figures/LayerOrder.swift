import Problems

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
  /// - Throws: `Problem` if it has no different-class mixture but half and half.
  public init(_ capture: CapturedTrajectories, weight: Double) throws {
    guard let weight = capture.nearestWeight(weight) else {
      throw Problem(
        .noUnevenMixtures, capture.file.path, "\(capture.file.path) has no uneven mixture of two classes.")
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
