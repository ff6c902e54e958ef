import CUDA
import Torch

extension CUDAKernels {
  public var updates: Bool { true }

  /// One launch for every 64 tensors whose gradients have the same type.
  public func update(_ rule: UpdateRule, _ tensors: UpdatedTensors, _ scalars: UpdateScalars) throws -> Bool {
    let all = (0..<tensors.parameters.count).map { index in
      UpdateTable.Entry(
        parameter: tensors.parameters[index], gradient: tensors.gradients[index],
        first: tensors.first.isEmpty ? nil : tensors.first[index],
        second: tensors.second.isEmpty ? nil : tensors.second[index], copy: tensors.copies[index])
    }
    var scalars = scalars
    scalars.learningRate = scalars.learningRate.to(.float32)
    let numbers = [scalars.learningRate, scalars.number] + (scalars.factor.map { [$0] } ?? [])
    guard all.allSatisfy({ $0.isTaken(on: launcher.device) }),
      numbers.allSatisfy({ $0.device == launcher.device && $0.dtype == .float32 && $0.count == 1 })
    else { return false }
    for dtype in [DType.float32, .bfloat16] {
      let entries = all.filter { $0.gradient.dtype == dtype }
      for start in stride(from: 0, to: entries.count, by: UpdateTable.capacity) {
        let table = try UpdateTable(entries[start..<min(start + UpdateTable.capacity, entries.count)])
        try withExtendedLifetime(tensors) {
          let (kernel, arguments) = rule.launch(table, dtype, scalars)
          try launcher.launch(kernel, LaunchGrid(table.blocks), arguments)
        }
      }
    }
    return true
  }
}

extension UpdateRule {
  /// The kernel of a rule and what it is given.
  fileprivate func launch(_ table: UpdateTable, _ dtype: DType, _ scalars: UpdateScalars) -> (
    Kernel, [KernelArgument]
  ) {
    switch self {
    case .sgd(let momentum, let weightDecay, let nesterov):
      return (
        Kernel(.optimizer, "sgd", of: dtype),
        [
          .bytes(table.bytes), .tensor(scalars.learningRate), .optional(scalars.factor), .float(momentum),
          .float(weightDecay), .int(nesterov ? 1 : 0),
        ]
      )
    case .adam(let beta1, let beta2, let epsilon, let weightDecay, let decoupled):
      return (
        Kernel(.optimizer, "adam", of: dtype),
        [
          .bytes(table.bytes), .tensor(scalars.learningRate), .tensor(scalars.number),
          .optional(scalars.factor), .double(beta1), .double(beta2), .float(epsilon), .float(weightDecay),
          .int(decoupled ? 1 : 0),
        ]
      )
    }
  }
}

/// Some tensors for one launch: `update_table` of Optimizer.cu, byte for byte.
private struct UpdateTable {
  struct Entry {
    let parameter, gradient: Tensor
    let first, second, copy: Tensor?

    /// Whether all of it is in the kernels' types, and laid out alike in memory.
    func isTaken(on device: Device) -> Bool {
      let floats = [parameter, first, second].compactMap { $0 }
      let others = [gradient, copy].compactMap { $0 }
      let layout: MemoryFormat = parameter.isContiguous() ? .contiguous : .channelsLast
      return floats.allSatisfy { $0.dtype == .float32 }
        && others.allSatisfy { $0.dtype == .float32 || $0.dtype == .bfloat16 }
        && copy?.dtype != .float32
        && (floats + others).allSatisfy {
          $0.failure == nil && $0.device == device && $0.shape == parameter.shape && $0.isContiguous(layout)
        } && parameter.count < Int(Int32.max)
    }
  }

  static let capacity = 64
  /// Elements of a block.
  private static let block = 2048

  private(set) var bytes: [UInt8] = []
  private(set) var blocks = 0

  init(_ entries: ArraySlice<Entry>) throws {
    func append(_ value: some Any) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
    func pointers(_ tensor: (Entry) -> Tensor?) throws {
      for entry in entries { append(try tensor(entry)?.unsafeDeviceAddress()) }
      for _ in entries.count..<Self.capacity { append(UnsafeMutableRawPointer?.none) }
    }
    try pointers(\.parameter)
    try pointers(\.gradient)
    try pointers(\.first)
    try pointers(\.second)
    try pointers(\.copy)
    for entry in entries { append(Int32(entry.parameter.count)) }
    for _ in entries.count..<Self.capacity { append(Int32(0)) }
    for entry in entries {
      append(Int32(blocks))
      blocks += (entry.parameter.count + Self.block - 1) / Self.block
    }
    // One past the last tensor, and so on.
    for _ in entries.count...Self.capacity { append(Int32(blocks)) }
    append(Int32(entries.count))
  }
}
