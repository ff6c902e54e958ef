import Records

extension Measurement {
  /// Its pictures with their titles: those that there are.
  public var figures: [(title: String, figure: any Figure)] {
    let all: [(String, (any Figure)?)] = [
      ("Classes", ClassCosinesFigure(self)), ("Layers", LayersFigure(self)),
      ("Calibration", ReliabilityFigure(self)),
    ]
    return all.compactMap { title, figure in figure.map { (title, $0) } }
  }
}
