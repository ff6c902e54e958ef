import Problems
import Torch

extension Problem {
  /// A tensor of a file that does not fit a network or an optimiser: which, what was expected, what was found.
  static func unfitTensor(_ name: String, _ reason: String) -> Problem {
    Problem(.unfitWeights, name, "\(name): \(reason)")
  }
}

/// The named tensors of a network: parameters, which are trained, and buffers, which are not.
///
/// Names follow PyTorch's `state_dict`, so that a file of them loads into the matching module.
public final class Variables {
  /// One named tensor.
  public struct Entry {
    /// Full name, such as "block1.layer.0.bn1.weight".
    public let name: String
    /// The tensor; training changes its elements.
    public let tensor: Tensor
    /// Whether the optimiser trains it.
    public let isTrained: Bool
    /// Whether it is a running statistic, which passes of training move.
    public var isStatistic = false
  }

  /// All tensors in the order in which the network made them.
  public private(set) var entries: [Entry] = []
  /// Where they live.
  public let device: Device
  /// What their network computes with, beside libtorch's operators.
  public let kernels: any KernelBackend
  /// Source of initial values.
  let generator: Generator
  /// The trained tensors in the type that products are computed in.
  let copies = WorkingCopies()
  /// The ranks whose images batch norm takes together in training; nil: this process's alone.
  public var statisticsGroup: (any ProcessGroup)?

  /// An empty collection; initial values come from a CPU generator of this seed, so that they are
  /// the same on every device.
  ///
  /// - Parameters:
  ///   - seed: of the initial values.
  ///   - device: where the tensors are to live.
  ///   - kernels: for the network's tensors; nil for those of the CPU there, and for libtorch's operators elsewhere.
  public init(seed: UInt64, device: Device = .cpu, kernels: (any KernelBackend)? = nil) throws {
    self.device = device
    self.kernels = kernels ?? (device == .cpu ? CPUKernels() : LibtorchKernels())
    generator = try Generator(seed: seed)
  }

  /// The scope in which a network makes its tensors.
  public var root: Scope { Scope(variables: self, path: "") }

  /// The trained tensors.
  public var parameters: [Tensor] { entries.filter(\.isTrained).map(\.tensor) }

  /// Number of trained numbers.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.count } }

  func add(_ name: String, _ tensor: Tensor, isTrained: Bool, isStatistic: Bool = false) -> Tensor {
    precondition(!entries.contains { $0.name == name }, "two variables are named \(name)")
    let placed = tensor.to(device)
    if isTrained { placed.requiringGradient() }
    entries.append(Entry(name: name, tensor: placed, isTrained: isTrained, isStatistic: isStatistic))
    return placed
  }

  /// Shapes of all tensors by name.
  public var shapes: [String: [Int]] {
    Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.tensor.shape) })
  }

  /// Copies of all tensors by name, on the CPU.
  public func snapshot() -> [String: Tensor] {
    withoutGradients {
      Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.tensor.detached().to(.cpu).clone()) })
    }
  }

  /// Overwrites all tensors with those of a file.
  ///
  /// Nothing is changed unless all of them fit. PyTorch's `num_batches_tracked` is ignored.
  ///
  /// - Throws: `Problem` for the first tensor that is missing, unknown or of another shape.
  public func load(_ tensors: [String: Tensor]) throws {
    for entry in entries {
      guard let tensor = tensors[entry.name] else {
        throw Problem.unfitTensor(entry.name, "expected shape \(entry.tensor.shape), found no such tensor")
      }
      guard tensor.shape == entry.tensor.shape else {
        throw Problem.unfitTensor(entry.name, "expected shape \(entry.tensor.shape), found \(tensor.shape)")
      }
    }
    let known = Set(entries.map(\.name))
    if let extra = tensors.keys.sorted().first(where: {
      !known.contains($0) && !$0.hasSuffix("num_batches_tracked")
    }) {
      throw Problem.unfitTensor(extra, "found in the file, but the network has no such tensor")
    }
    try withoutGradients {
      for entry in entries { try entry.tensor.assign(tensors[entry.name]!) }
    }
  }
}

/// A place in the tree of names where a layer makes its tensors.
public struct Scope {
  let variables: Variables
  let path: String

  /// What layers compute with.
  var kernels: any KernelBackend { variables.kernels }

  /// The scope of a child.
  public static func / (scope: Scope, name: String) -> Scope {
    Scope(variables: scope.variables, path: scope.join(name))
  }

  /// The scope of a numbered child.
  public static func / (scope: Scope, index: Int) -> Scope { scope / "\(index)" }

  /// A tensor of this network in the type that products are computed in: its copy within
  /// ``Variables/computing(in:leavingGradients:_:)``, elsewhere a conversion of its own. To be asked for anew in each pass.
  public func converted(_ tensor: Tensor, to dtype: DType) -> Tensor { variables.copies(tensor, dtype) }

  private func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  /// Makes a trained tensor, laid out in memory as `format` says.
  public func parameter(
    _ name: String, _ shape: [Int], _ initializer: Initializer, _ format: MemoryFormat = .contiguous
  ) -> Tensor {
    let start = initializer.make(shape, variables.generator).contiguous(format)
    return variables.add(join(name), start, isTrained: true)
  }

  /// Makes a tensor that is stored but not trained.
  public func buffer(_ name: String, _ shape: [Int], _ initializer: Initializer) -> Tensor {
    variables.add(join(name), initializer.make(shape, variables.generator), isTrained: false)
  }

  /// Makes a running statistic: stored, not trained, but moved by passes of training.
  func statistic(_ name: String, _ shape: [Int], _ initializer: Initializer) -> Tensor {
    variables.add(
      join(name), initializer.make(shape, variables.generator), isTrained: false, isStatistic: true)
  }
}

/// How a tensor starts out.
public enum Initializer {
  /// All elements equal.
  case constant(Double)
  /// Normal with mean 0.
  case normal(standardDeviation: Double)
  /// Uniform in −bound ..< bound.
  case uniform(bound: Double)
  /// These, row-major.
  case elements([Float])

  func make(_ shape: [Int], _ generator: Generator) -> Tensor {
    switch self {
    case .constant(let value): .full(shape, value)
    case .normal(let deviation): .normal(shape, standardDeviation: deviation, generator: generator)
    case .uniform(let bound): .uniform(shape, in: -bound..<bound, generator: generator)
    case .elements(let elements): Tensor(elements, shape: shape)
    }
  }
}
