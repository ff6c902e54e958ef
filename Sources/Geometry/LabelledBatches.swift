import Problems
import Torch

/// Rows with their classes, handed out in batches, as often as they are asked for: what metrics are measured
/// on without all of it having to fit in memory.
public struct LabelledBatches {
  /// Number of rows; what the batches add up to.
  public let count: Int
  /// Length of a row: of a feature, d, or of logits, C.
  public let width: Int
  private let forEachBatch: (_ body: (_ rows: Tensor, _ labels: [Int]) throws -> Void) throws -> Void

  /// Batches that `forEachBatch` makes.
  ///
  /// - Parameters:
  ///   - count: number of rows in all.
  ///   - width: length of a row.
  ///   - forEachBatch: calls its argument with n×width rows of any floating-point type and the n classes of
  ///     each batch, in the same order each time.
  public init(
    count: Int, width: Int,
    forEachBatch: @escaping (_ body: (_ rows: Tensor, _ labels: [Int]) throws -> Void) throws -> Void
  ) {
    self.count = count
    self.width = width
    self.forEachBatch = forEachBatch
  }

  /// Batches of rows that are in memory.
  ///
  /// - Parameters:
  ///   - rows: N×width.
  ///   - labels: N classes.
  ///   - batchSize: rows of a batch.
  /// - Throws: `Problem` if the two do not fit.
  public init(_ rows: Tensor, labels: [Int], batchSize: Int = 8192) throws {
    guard rows.shape.count == 2, rows.shape[0] == labels.count, rows.dtype.isFloatingPoint, batchSize > 0
    else {
      throw Problem(
        operation: "batches", arguments: ["rows \(rows.dtype)\(rows.shape)", "\(labels.count) labels"],
        reason: "rows must be floating-point numbers, one row a label")
    }
    self.init(count: labels.count, width: rows.shape[1]) { body in
      for start in stride(from: 0, to: labels.count, by: batchSize) {
        let range = start..<min(start + batchSize, labels.count)
        try body(rows.narrowed(range).checked(), Array(labels[range]))
      }
    }
  }

  /// Calls `body` with each batch in turn.
  public func forEach(_ body: (_ rows: Tensor, _ labels: [Int]) throws -> Void) throws {
    try forEachBatch(body)
  }
}

extension Tensor {
  /// Refuses numbers that are not finite.
  ///
  /// - Parameters:
  ///   - name: of the tensor, in the message.
  ///   - firstRow: number of its first row in a larger whole.
  /// - Throws: `Problem` naming row and column of the first of them.
  package func checkFinite(_ name: String, firstRow: Int = 0) throws {
    guard try isFinite().all().item() != 1 else { return }
    let finite = try isFinite().to(.uint8).array(UInt8.self)
    let place = finite.firstIndex(of: 0) ?? 0
    let width = Swift.max(1, shape.last ?? 1)
    let value = try reshaped([count]).selected(place).to(.float64).item()
    throw Problem(
      operation: "metrics", arguments: ["\(name) \(shape)"],
      reason: "\(name) row \(firstRow + place / width), column \(place % width) is \(value), "
        + "not a finite number")
  }

  /// Logits with numbers so low that they are no class's in place of −∞, unless a whole row is that.
  package func withoutExcludedClasses() throws -> Tensor {
    guard shape.count == 2, try isFinite().all().item() != 1 else { return self }
    var values = try to(.float64).array(Double.self)
    let width = shape[1]
    for row in 0..<shape[0] {
      let places = row * width..<(row + 1) * width
      guard values[places].contains(where: { $0 != -.infinity }) else { continue }
      for place in places where values[place] == -.infinity { values[place] = -1e30 }
    }
    return Tensor(values, shape: shape)
  }
}
