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
  /// Bytes of gradients after which an exchange begins while the backward pass goes on; 0: all after it.
  public let bucketBytes: Int

  /// Parts of a batch.
  ///
  /// - Parameters:
  ///   - count: how many; a multiple of the processes that share them.
  ///   - group: the processes that share them; nil: this one takes all.
  ///   - sumType: in which gradients are added and sent: `bfloat16` halves what is sent.
  ///   - sharesStatistics: whether batch norm takes all parts together; each process then has one.
  ///   - bucketBytes: of gradients after which an exchange begins while the backward pass of a process's last part goes
  ///     on, where the group can; no bit depends on it, and it is the same for all processes. 0: all after the pass.
  public init(
    _ count: Int, sharedBy group: (any ProcessGroup)? = nil, sumType: DType = .float32,
    sharesStatistics: Bool = false, bucketBytes: Int = 0
  ) {
    precondition(
      count >= 1 && count % (group?.size ?? 1) == 0, "\(count) parts for \(group?.size ?? 1) processes")
    precondition(!sharesStatistics || count == group?.size ?? 1, "statistics of \(count) parts are shared")
    self.count = count
    self.group = group
    self.sumType = sumType
    self.sharesStatistics = sharesStatistics && count > 1
    self.bucketBytes = bucketBytes
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
  /// Of each process, the largest sums of the tree over its own parts.
  var shares: [[Range<Int>]] {
    (0..<processes).map { PairwiseSum.sums(within: Self.share(of: $0, count / processes), of: 0..<count) }
  }

  /// The length of vectors of so many elements: one that all processes can share.
  func paddedLength(_ count: Int) -> Int { (count + processes - 1) / processes * processes }

  /// Elements of a bucket; nil where gradients are exchanged in one piece, after the backward pass.
  ///
  /// Statistics that all share are exchanged within the pass: in between, buckets could come in another order on each
  /// process.
  func bucketElements(on device: Device) -> Int? {
    guard let group, bucketBytes > 0, !sharesStatistics, group.isAsynchronous(on: device) else { return nil }
    return max(1, bucketBytes / sumType.arrayType.size)
  }

  /// Begins to gather rows of all parts from those of this process, one after another.
  func beginGathering(_ rows: Tensor) throws -> Exchange {
    guard let group else { return Exchange { rows } }
    let gathering = try group.beginGathering(rows)
    return Exchange { try gathering.finish().reshaped([count] + rows.shape.dropFirst()) }
  }
}
