/// What a job asks Slurm for.
public struct SlurmResources: Sendable, Equatable {
  public var partition: String?
  public var account: String?
  /// Quality of service.
  public var qos: String?
  /// Time limit as Slurm writes it: minutes, `H:MM:SS`, `D-HH`; nil: the partition's.
  public var time: String?
  /// GPUs of its node: a number, or a type and a number as in `a100:1`; `0`: none. An option `gres`, or one
  /// that begins with `gpus`, takes its place.
  public var gpus = "1"
  /// Processor cores; nil: the partition's.
  public var cpus: Int?
  /// Of its node, as in `32G`; nil: the partition's.
  public var memory: String?
  /// Features that its node must have.
  public var constraint: String?
  /// Further options of sbatch by name; a value of nil stands for an option without one.
  public var options: [String: String?] = [:]

  /// One GPU, and otherwise what the cluster gives.
  public init() {}

  /// The arguments of sbatch that ask for it.
  var arguments: [String] {
    // Clusters have several words for GPUs, and a job may use one of them.
    let hasOther = options.keys.contains(where: Self.isForGPUs)
    let pairs = [
      ("partition", partition), ("account", account), ("qos", qos), ("time", time),
      ("gres", gpus == "0" || hasOther ? nil : "gpu:\(gpus)"), ("cpus-per-task", cpus.map { "\($0)" }),
      ("mem", memory),
      ("constraint", constraint),
    ]
    let further = options.sorted { $0.key < $1.key }
      .map { name, value in value.map { "--\(name)=\($0)" } ?? "--\(name)" }
    return pairs.compactMap { name, value in value.map { "--\(name)=\($0)" } } + further
  }

  /// Whether an option of sbatch asks for GPUs.
  static func isForGPUs(_ option: String) -> Bool { option == "gres" || option.hasPrefix("gpus") }

  /// Seconds of a time limit as Slurm writes it; nil for another text, and for one without end.
  static func seconds(_ time: String) -> Int? {
    guard let match = time.wholeMatch(of: /(?:(\d{1,5})-)?(\d{1,8})(?::(\d{1,2}))?(?::(\d{1,2}))?/) else {
      return nil
    }
    let numbers = [match.2, match.3 ?? "", match.4 ?? ""].compactMap { Int($0) }
    if let days = match.1.flatMap({ Int($0) }) {
      return days * 86_400 + zip(numbers, [3600, 60, 1]).map { $0 * $1 }.reduce(0, +)
    }
    let units = [[60], [60, 1], [3600, 60, 1]][numbers.count - 1]
    return zip(numbers, units).map { $0 * $1 }.reduce(0, +)
  }
}
