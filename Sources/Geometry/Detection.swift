/// How well a score tells samples of a distribution from others (Hendrycks & Gimpel, *A Baseline for Detecting Misclassified
/// and Out-of-Distribution Examples in Neural Networks*, ICLR 2017). Higher scores are for those of the distribution.
public struct Detection: Sendable, Equatable {
  /// Probability that one of the distribution has a higher score than another one; ties count half.
  public let areaUnderROC: Double
  /// Share of the others whose score reaches the largest threshold that 95 % of those of the distribution reach.
  public let falsePositiveRateAt95: Double

  /// Compares scores.
  ///
  /// - Parameters:
  ///   - own: of samples of the distribution.
  ///   - foreign: of others.
  /// - Precondition: there are some of both, and none is NaN.
  public init(own: [Double], foreign: [Double]) {
    precondition(!own.isEmpty && !foreign.isEmpty, "there must be scores of both kinds")
    let all = (own.map { ($0, true) } + foreign.map { ($0, false) }).sorted { $0.0 < $1.0 }
    var (wins, below, place) = (0.0, 0.0, 0)
    while place < all.count {
      let end = all[place...].firstIndex { $0.0 != all[place].0 } ?? all.count
      let ownTied = Double(all[place..<end].count { $0.1 })
      let foreignTied = Double(end - place) - ownTied
      wins += ownTied * (below + foreignTied / 2)
      below += foreignTied
      place = end
    }
    areaUnderROC = wins / (Double(own.count) * Double(foreign.count))
    // At least 95 % of them reach it.
    let reached = own.sorted(by: >)[(95 * own.count + 99) / 100 - 1]
    falsePositiveRateAt95 = Double(foreign.count { $0 >= reached }) / Double(foreign.count)
  }
}
