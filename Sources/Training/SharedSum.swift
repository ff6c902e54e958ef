import Torch

/// The sum over all parts of a batch of a vector of each, on its way through the processes that share them.
///
/// Each process adds up its own parts as far as the tree allows, then a slice of the vectors of all, and all slices are
/// gathered then: each sends and receives about twice a vector, however many processes they are.
struct SharedSum {
  private let parts: BatchParts
  private var own: PairwiseSum
  /// Slices of all processes' sums, on their way to this one.
  private var slices: Exchange?
  /// The slices of the whole, on their way to all.
  private var whole: Exchange?

  /// A sum of no part yet.
  init(over parts: BatchParts) {
    self.parts = parts
    own = PairwiseSum(of: parts.count)
  }

  /// Adds the vector of a part of this process's, in their order. It is as long as ``BatchParts/paddedLength(_:)`` says,
  /// and overwritten.
  mutating func add(_ vector: Tensor, of part: Int) throws { try own.add(vector, of: part..<part + 1) }

  /// Begins to exchange slices, all own parts being there.
  ///
  /// - Throws: `TorchError`, with the code `lostWorker` if another process is gone.
  mutating func beginExchanging() throws {
    guard let group = parts.group else { return }
    let partial = own.terms.map(\.vector)
    own = PairwiseSum(of: parts.count)
    let most = parts.shares.map(\.count).max() ?? 1
    let slice = partial[0].count / group.size
    // Rank, sum, elements; ranks with fewer sums send something that nobody reads.
    let rows = partial + Array(repeating: partial[0], count: most - partial.count)
    slices = try group.beginExchanging(
      most == 1
        ? rows[0].reshaped([group.size, 1, slice])
        : .stacked(rows.map { $0.reshaped([group.size, slice]) }, dimension: 1))
  }

  /// Waits for the slices, adds them, and begins to gather the sums.
  ///
  /// - Throws: as ``beginExchanging()``.
  mutating func beginGathering() throws {
    guard let group = parts.group, let slices else { return }
    let received = try slices.finish()
    self.slices = nil
    var total = PairwiseSum(of: parts.count)
    for (rank, sums) in parts.shares.enumerated() {
      for (index, sum) in sums.enumerated() {
        try total.add(received.selected(rank).selected(index), of: sum)
      }
    }
    whole = try group.beginGathering(total.terms[0].vector)
  }

  /// The sum, when it is there.
  ///
  /// - Throws: as ``beginExchanging()``.
  mutating func finish() throws -> Tensor {
    guard let whole else { return own.terms[0].vector }
    let sum = try whole.finish()
    self.whole = nil
    return sum.reshaped([sum.count])
  }
}
