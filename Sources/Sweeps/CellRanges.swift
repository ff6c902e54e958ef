/// Numbers as ranges, as Slurm's `--array` has them: `0-3,7`.
public struct CellRanges: Sendable, Hashable, CustomStringConvertible {
  /// The numbers, each once, in rising order.
  public let numbers: [Int]

  /// Ranges of numbers that are 0 or more, in any order; those that come twice count once.
  public init(_ numbers: some Sequence<Int>) { self.numbers = Set(numbers).sorted() }

  /// The numbers that a text of ranges means; nil for any other text, and for a range that runs down.
  ///
  /// - Parameter text: as in `0-3,7`; what stands after `%` limits how many run at once, and is left out.
  public init?(_ text: String) {
    var numbers: [Int] = []
    for part in text.prefix(while: { $0 != "%" }).split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      // Slurm's largest index is below four millions; a longer range is no list of cells.
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1],
        0 <= first, first <= last, last - first < 4_000_000
      else { return nil }
      numbers += first...last
    }
    self.init(numbers)
  }

  public var description: String {
    var ranges: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = ranges.last, last.upperBound + 1 == number {
        ranges[ranges.count - 1] = last.lowerBound...number
      } else {
        ranges.append(number...number)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}
