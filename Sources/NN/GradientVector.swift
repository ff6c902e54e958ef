import Torch

private enum Ops {
  static let copyEach = Operator("aten::_foreach_copy_")
  static let zeroEach = Operator("aten::_foreach_zero_")
}

/// The gradients of a network's trained tensors as one vector, in the order in which the network made these, or those of
/// some neighbours among them.
///
/// So the gradients of parts of a batch can be added, and exchanged between processes, all at once.
public struct GradientVector {
  private let variables: Variables
  private let tensors: [Tensor]
  private let places: TensorPlaces
  /// Where its first tensor is among all of the network's.
  private let start: Int

  /// The gradients of a network.
  public init(_ variables: Variables) { self.init(variables, variables.parameters, start: 0) }

  private init(_ variables: Variables, _ tensors: [Tensor], start: Int) {
    self.variables = variables
    self.tensors = tensors
    self.start = start
    places = TensorPlaces(tensors)
  }

  /// The gradients of a network in several vectors of whole tensors, the last tensors first, as a backward pass comes to
  /// them.
  ///
  /// - Parameters:
  ///   - variables: the network's.
  ///   - elements: with how many a vector is full; nil: all are in one.
  public static func buckets(_ variables: Variables, of elements: Int?) -> [GradientVector] {
    let tensors = variables.parameters
    guard let elements else { return [GradientVector(variables)] }
    var (buckets, end, count): ([GradientVector], Int, Int) = ([], tensors.count, 0)
    for start in tensors.indices.reversed() {
      count += tensors[start].count
      guard count >= elements || start == 0 else { continue }
      buckets.append(GradientVector(variables, Array(tensors[start..<end]), start: start))
      (end, count) = (start, 0)
    }
    return buckets
  }

  /// Number of elements.
  public var count: Int { places.count }

  /// Where a backward pass leaves the gradients: at the tensors themselves, or at the copies that a step computes with. To
  /// be asked for after the forward pass, which makes these.
  public var leaves: [Tensor] { tensors.map(variables.copies.leaf) }

  /// Copies the gradients into a new vector and frees them.
  ///
  /// - Parameters:
  ///   - dtype: of the vector.
  ///   - length: of the vector, which ends with elements that nobody writes; nil for what the gradients take.
  /// - Throws: `TorchError` if a tensor has no gradient, or there is no memory.
  public func taken(_ dtype: DType = .float32, length: Int? = nil) throws -> Tensor {
    try withoutGradients {
      let gradients = try tensors.enumerated().map { index, tensor in
        guard let gradient = tensor.gradient ?? variables.copies.copy(of: tensor)?.gradient else {
          throw TorchError(
            operation: "gradients", arguments: ["\(start + index)"], reason: "a parameter has no gradient")
        }
        return gradient
      }
      let vector = try Tensor.zeros([length ?? count], dtype: dtype, device: variables.device).checked()
      try Ops.copyEach.run(.tensors(places.views(of: vector)), .tensors(gradients))
      try variables.discardGradients(of: tensors)
      return vector
    }
  }

  /// Makes the elements of a vector, which must be `float32`, the gradients of the tensors; they share them.
  ///
  /// - Throws: `TorchError` if one of them cannot be set.
  public func give(_ vector: Tensor) throws {
    try withoutGradients {
      for (tensor, view) in zip(tensors, places.views(of: vector)) { try tensor.setGradient(view) }
    }
  }
}

/// The running statistics of a network's batch norms as one vector, and how they follow those of a batch's parts.
public struct RunningStatistics {
  private let tensors: [Tensor]
  private let places: TensorPlaces

  /// The statistics of a network.
  public init(_ variables: Variables) {
    tensors = variables.entries.filter(\.isStatistic).map { $0.tensor.detached() }
    places = TensorPlaces(tensors)
  }

  /// Number of elements; 0 for a network without batch norm.
  public var count: Int { places.count }

  /// A copy.
  public func copied() throws -> Tensor {
    guard let first = tensors.first else { return .zeros([0]) }
    let vector = Tensor.uninitialized([count], device: first.device)
    try Ops.copyEach.run(.tensors(places.views(of: vector)), .tensors(tensors))
    return vector
  }

  /// Sets all of them to zero: what a pass then leaves there is by how much it moves them.
  public func clear() throws {
    if !tensors.isEmpty { try Ops.zeroEach.run(.tensors(tensors)) }
  }

  /// Sets them to what they were, moved by one part of a batch after another.
  ///
  /// - Parameters:
  ///   - before: what they were, which is overwritten.
  ///   - moves: parts×count: what the pass of each part has left of zeros.
  public func set(_ before: Tensor, movedBy moves: Tensor) throws {
    guard !tensors.isEmpty else { return }
    for part in 0..<moves.length {
      try before.scaleInPlace(1 - BatchNorm2d.momentum)
      try before.addInPlace(moves.selected(part))
    }
    try Ops.copyEach.run(.tensors(tensors), .tensors(places.views(of: before)))
  }
}

/// Where tensors lie in a vector that holds all of them.
private struct TensorPlaces {
  private let parts: [(range: Range<Int>, shape: [Int], isChannelsLast: Bool)]
  let count: Int

  init(_ tensors: [Tensor]) {
    var end = 0
    parts = tensors.map { tensor in
      let start = end
      end += tensor.count
      let isChannelsLast = !tensor.isContiguous() && tensor.isContiguous(.channelsLast)
      return (start..<end, tensor.shape, isChannelsLast)
    }
    count = end
  }

  /// The vector's parts, in the shape and the layout of the tensors.
  func views(of vector: Tensor) -> [Tensor] {
    parts.map { range, shape, isChannelsLast in
      let elements = vector.narrowed(range)
      guard isChannelsLast else { return elements.reshaped(shape) }
      return elements.reshaped([shape[0], shape[2], shape[3], shape[1]]).permuted([0, 3, 1, 2])
    }
  }
}
