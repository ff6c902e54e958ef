import Randomness
import Records

/// Confidence intervals by resampling: what a number would vary by, were the samples drawn anew.
///
/// Measures of collapse and calibration errors are biased in small samples, and a resampled data set is biased
/// once more; so the interval is the basic (reverse percentile) one, [2t − q₀.₉₇₅, 2t − q₀.₀₂₅] with t the
/// number measured, which takes that second bias off (Davison & Hinkley 1997, section 5.2). The bias of t
/// itself stays.
public struct Bootstrap: Sendable {
  /// Lower and upper end.
  public typealias Interval = (lower: Double, upper: Double)

  /// 95 % intervals by name.
  public let intervals: [String: Interval]

  /// Measures resampled sets.
  ///
  /// - Parameters:
  ///   - numbers: those of all samples.
  ///   - groups: group of each sample; each group keeps its size, as it would if samples of each class were drawn
  ///     anew. nil: all samples are one group.
  ///   - count: samples in all.
  ///   - resamples: how many sets to draw; 2 or more.
  ///   - stream: that draws.
  ///   - measure: gives the numbers of a set, by the samples' indices; one that is undefined for it may be left out.
  public init(
    of numbers: NumberList, count: Int, groups: [Int]? = nil, resamples: Int, _ stream: RandomStream,
    measure: (_ indices: [Int]) throws -> NumberList
  ) rethrows {
    var members: [[Int]] = [Array(0..<count)]
    if let groups {
      members = Array(repeating: [], count: (groups.max() ?? 0) + 1)
      for (index, group) in groups.enumerated() { members[group].append(index) }
    }
    var values: [String: [Double]] = [:]
    for resample in 0..<resamples {
      var draw = stream.split(resample)
      let indices = members.flatMap { group in
        group.map { _ in group[draw.nextInt(below: group.count)] }
      }
      for entry in try measure(indices).entries { values[entry.name, default: []].append(entry.value) }
    }
    intervals = numbers.entries.reduce(into: [:]) { intervals, entry in
      guard let drawn = values[entry.name]?.filter(\.isFinite).sorted(), drawn.count >= 2 else { return }
      func quantile(_ share: Double) -> Double {
        let place = share * Double(drawn.count - 1)
        let low = Int(place)
        let high = min(low + 1, drawn.count - 1)
        return drawn[low] + (place - Double(low)) * (drawn[high] - drawn[low])
      }
      let lower = 2 * entry.value - quantile(0.975)
      // What is never negative has no interval that is.
      let least: Double = min(drawn[0], entry.value) >= 0 ? 0 : -.infinity
      let most: Double = Self.isAtMostOne(entry.name) ? 1 : .infinity
      intervals[entry.name] = (max(least, lower), min(most, 2 * entry.value - quantile(0.025)))
    }
  }

  /// Whether a number of this name is a share, an error of shares, or a cosine.
  private static func isAtMostOne(_ name: String) -> Bool {
    let last = name.split(separator: ".").last.map(String.init) ?? name
    return ["accuracy", "agreement", "confidence", "ece_", "mce_", "cosine_mean"].contains {
      last.contains($0)
    }
  }
}
