import NN
import Torch

/// The gradients of a step on their way to their sum over all parts of the batch, in buckets.
///
/// While the backward pass of this process's last part goes on, the exchange of each bucket begins once its gradients are
/// there and those of all before it have begun. What follows is settled in a fixed order too, so that all processes call
/// the same in the same order, whatever order the gradients come in.
final class GradientSum {
  /// How many buckets are begun before the first is settled: what is exchanged between has the time of their passes.
  private static let lead = 2

  private let parts: BatchParts
  private let buckets: [GradientVector]
  private var sums: [SharedSum]
  /// Buckets whose exchange has begun, and those whose sums are being gathered.
  private var (begun, settled) = (0, 0)

  /// Gradients of no part yet.
  ///
  /// - Parameters:
  ///   - parts: of the batch.
  ///   - buckets: of the network's gradients, in the order of a backward pass.
  init(over parts: BatchParts, _ buckets: [GradientVector]) {
    self.parts = parts
    self.buckets = buckets
    sums = buckets.map { _ in SharedSum(over: parts) }
  }

  /// The backward pass of a part of this process's, from its loss.
  ///
  /// - Throws: `TorchError`, with the code `lostWorker` if another process is gone.
  func pass(_ loss: Tensor, of part: Int) throws {
    guard buckets.count > 1, part == parts.own.last else { return try loss.backward() }
    let leaves = buckets.map(\.leaves)
    let place = leaves.indices.flatMap { index in leaves[index].map { _ in index } }
    var missing = leaves.map(\.count)
    try loss.backward(telling: leaves.flatMap(\.self)) { leaf in
      missing[place[leaf]] -= 1
      while begun < buckets.count, missing[begun] == 0 { try begin() }
    }
  }

  /// Takes the gradients that a part's pass has left, and frees them.
  ///
  /// - Throws: as ``pass(_:of:)``, and `TorchError` for a parameter without a gradient.
  func take(of part: Int) throws {
    guard part != parts.own.last else {
      while begun < buckets.count { try begin() }
      return
    }
    for bucket in buckets.indices { try take(bucket, of: part) }
  }

  private func take(_ bucket: Int, of part: Int) throws {
    let length = parts.paddedLength(buckets[bucket].count)
    try sums[bucket].add(buckets[bucket].taken(parts.sumType, length: length), of: part)
  }

  /// Begins to exchange the next bucket, with the last part's gradients.
  private func begin() throws {
    try take(begun, of: parts.own.last!)
    try sums[begun].beginExchanging()
    begun += 1
    if begun > settled + Self.lead { try settle() }
  }

  private func settle() throws {
    try sums[settled].beginGathering()
    settled += 1
  }

  /// Gives the tensors their gradients' sums over all parts.
  ///
  /// - Throws: as ``pass(_:of:)``.
  func give() throws {
    while settled < buckets.count { try settle() }
    for (index, bucket) in buckets.enumerated() { try bucket.give(sums[index].finish().to(.float32)) }
  }
}
