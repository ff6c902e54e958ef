import NN
import Torch

/// How a batch is taken in parts, and by whom.
///
/// Each part goes through the network by itself, with batch statistics of its own. Gradients of parts are added pairwise,
/// always in the same order, whoever has computed them: so the number of processes that share the parts changes no bit.
public struct BatchParts: Sendable {
  /// Parts of a batch; they divide it.
  public let count: Int
  /// The processes that share them; nil: this one takes all.
  public let group: (any ProcessGroup)?
  /// The type in which gradients are added and sent.
  public let sumType: DType
  /// Whether batch norm takes all parts together, which are then one a process and no longer equal to the bit.
  public let sharesStatistics: Bool

  /// Parts of a batch.
  ///
  /// - Parameters:
  ///   - count: how many; a multiple of the processes that share them.
  ///   - group: the processes that share them; nil: this one takes all.
  ///   - sumType: in which gradients are added and sent: `bfloat16` halves what is sent.
  ///   - sharesStatistics: whether batch norm takes all parts together; each process then has one.
  public init(
    _ count: Int, sharedBy group: (any ProcessGroup)? = nil, sumType: DType = .float32,
    sharesStatistics: Bool = false
  ) {
    precondition(
      count >= 1 && count % (group?.size ?? 1) == 0, "\(count) parts for \(group?.size ?? 1) processes")
    precondition(!sharesStatistics || count == group?.size ?? 1, "statistics of \(count) parts are shared")
    self.count = count
    self.group = group
    self.sumType = sumType
    self.sharesStatistics = sharesStatistics && count > 1
  }

  /// Processes that share them.
  public var processes: Int { group?.size ?? 1 }

  /// The parts of this process.
  public var own: Range<Int> { Self.share(of: group?.rank ?? 0, count / processes) }

  private static func share(of rank: Int, _ size: Int) -> Range<Int> { rank * size..<(rank + 1) * size }

  /// The images of a batch that this process takes.
  public func rows(ofBatch size: Int) -> Range<Int> {
    own.lowerBound * (size / count)..<own.upperBound * (size / count)
  }
}

extension BatchParts {
  /// How a sum over parts is made of two: the first has as many as the largest power of two below their number.
  static func halves(_ parts: Range<Int>) -> (Range<Int>, Range<Int>) {
    var first = 1
    while 2 * first < parts.count { first *= 2 }
    return (parts.lowerBound..<parts.lowerBound + first, parts.lowerBound + first..<parts.upperBound)
  }

  /// The largest sums within some parts, of those that make the sum over all.
  private func sums(within parts: Range<Int>, of all: Range<Int>? = nil) -> [Range<Int>] {
    let all = all ?? 0..<count
    guard all.overlaps(parts) else { return [] }
    guard !(parts.lowerBound <= all.lowerBound && all.upperBound <= parts.upperBound) else { return [all] }
    let (first, second) = Self.halves(all)
    return sums(within: parts, of: first) + sums(within: parts, of: second)
  }

  /// A sum of parts as vectors, each pair added as soon as both are there: as many are kept at a time as a sum has
  /// levels. Overwrites vectors.
  private static func sum(_ parts: Range<Int>, _ vector: (Range<Int>) throws -> Tensor?) throws -> Tensor {
    if let whole = try vector(parts) { return whole }
    let (first, second) = halves(parts)
    let sum = try sum(first, vector)
    try sum.addInPlace(Self.sum(second, vector))
    return sum
  }

  /// The sum over all parts of what `vector` gives for this process's, in the order of these.
  ///
  /// Every process adds up a slice of the vectors, and all slices are gathered then: each sends and receives about twice
  /// a vector, however many they are.
  ///
  /// - Parameter vector: of a part, as long as ``paddedLength(_:)`` says; it is overwritten.
  /// - Throws: `TorchError`, with the code `lostWorker` if another process is gone.
  func sum(_ vector: (Int) throws -> Tensor) throws -> Tensor {
    let shares = (0..<processes).map { sums(within: Self.share(of: $0, count / processes)) }
    let partial = try shares[group?.rank ?? 0].map { parts in
      try Self.sum(parts) { $0.count == 1 ? try vector($0.lowerBound) : nil }
    }
    guard let group else { return partial[0] }
    let most = shares.map(\.count).max() ?? 1
    let slice = partial[0].count / group.size
    // Rank, sum, elements; ranks with fewer sums send something that nobody reads.
    let rows = partial + Array(repeating: partial[0], count: most - partial.count)
    let sent =
      most == 1
      ? rows[0].reshaped([group.size, 1, slice])
      : Tensor.stacked(rows.map { $0.reshaped([group.size, slice]) }, dimension: 1)
    let received = try group.exchanged(sent)
    let place = Dictionary(
      uniqueKeysWithValues: shares.enumerated().flatMap { rank, sums in
        sums.enumerated().map { ($1, (rank, $0)) }
      })
    let total = try Self.sum(0..<count) { parts in
      place[parts].map { received.selected($0.0).selected($0.1) }
    }
    return try group.gathered(total).reshaped([slice * group.size])
  }

  /// The length of vectors of so many elements: one that all processes can share.
  func paddedLength(_ count: Int) -> Int { (count + processes - 1) / processes * processes }

  /// Rows of all parts from those of this process, one after another.
  func gathered(_ rows: Tensor) throws -> Tensor {
    guard let group else { return rows }
    return try group.gathered(rows).reshaped([count] + rows.shape.dropFirst())
  }
}
