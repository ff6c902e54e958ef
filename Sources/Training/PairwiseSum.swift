import Torch

/// A sum over the parts of a batch in a fixed binary tree, to which parts come in their order.
///
/// Each pair is added as soon as both are there: as many vectors are kept at a time as the tree has levels.
struct PairwiseSum {
  /// A sum over some parts.
  typealias Term = (parts: Range<Int>, vector: Tensor)

  private let count: Int
  /// The largest sums so far of those that make the whole, in the order of their parts.
  private(set) var terms: [Term] = []

  /// A sum of no part yet, among so many.
  init(of count: Int) { self.count = count }

  /// Adds a part's vector, or a sum of the tree, that comes next; it is overwritten.
  ///
  /// - Throws: `TorchError` if vectors cannot be added.
  mutating func add(_ vector: Tensor, of parts: Range<Int>) throws {
    terms.append((parts, vector))
    while terms.count >= 2, Self.arePair(terms[terms.count - 2].parts, terms.last!.parts, within: 0..<count) {
      let second = terms.removeLast()
      let first = terms.removeLast()
      try first.vector.addInPlace(second.vector)
      terms.append((first.parts.lowerBound..<second.parts.upperBound, first.vector))
    }
  }

  /// How a sum over parts is made of two: the first has as many as the largest power of two below their number.
  private static func halves(_ parts: Range<Int>) -> (Range<Int>, Range<Int>) {
    var first = 1
    while 2 * first < parts.count { first *= 2 }
    return (parts.lowerBound..<parts.lowerBound + first, parts.lowerBound + first..<parts.upperBound)
  }

  /// Whether two neighbours are the halves of a sum within a larger one.
  private static func arePair(_ a: Range<Int>, _ b: Range<Int>, within all: Range<Int>) -> Bool {
    guard all.count > 1 else { return false }
    let (first, second) = halves(all)
    if (a, b) == (first, second) { return true }
    // Two that are in different halves are no pair.
    if b.upperBound <= first.upperBound { return arePair(a, b, within: first) }
    return a.lowerBound >= second.lowerBound && arePair(a, b, within: second)
  }

  /// The largest sums within some parts, of those that make the sum over all: what ``terms`` come to with these alone.
  static func sums(within parts: Range<Int>, of all: Range<Int>) -> [Range<Int>] {
    guard all.overlaps(parts) else { return [] }
    guard all.clamped(to: parts) != all else { return [all] }
    let (first, second) = halves(all)
    return sums(within: parts, of: first) + sums(within: parts, of: second)
  }
}
