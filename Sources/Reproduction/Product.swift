import Datasets
import Experiment
import Randomness
import Records
import Tasks

/// Something made of a finished run.
public enum Product: Hashable, Sendable, Comparable {
  /// A capture over all classes, for numbers.
  case numbers
  /// A capture of class tokens on their way.
  case trajectories
  /// A capture of three classes of a draw's own.
  case triple(Int)
  /// Accuracy and calibration on the test images.
  case evaluation
  /// The numbers of the configuration.
  case measurement

  /// Draws of three classes that there are.
  static let triples = 6

  /// Those that are captures.
  static var captures: [Product] { [.numbers, .trajectories] + (1...triples).map { .triple($0) } }

  private var order: Int {
    switch self {
    case .numbers: 0
    case .trajectories: 1
    case .triple(let number): 1 + number
    case .evaluation: 1000
    case .measurement: 1001
    }
  }

  public static func < (a: Product, b: Product) -> Bool { a.order < b.order }

  /// Its name, which a capture's file has.
  public var name: String {
    switch self {
    case .numbers: "numbers"
    case .trajectories: "trajectories"
    case .triple(let number): "triple-\(number)"
    case .evaluation: "evaluation"
    case .measurement: "configuration"
    }
  }

  /// Its file.
  public func file(in run: RunDirectory) -> String {
    switch self {
    case .evaluation: "\(run.path)/\(Evaluation.fileName)"
    case .measurement: "\(run.path)/\(Measurement.fileName)"
    default: "\(run.captures)/\(name).safetensors"
    }
  }

  /// Has it made, where a run keeps it.
  ///
  /// - Throws: `Problem`.
  func make(
    of run: RunDirectory, _ configuration: Configuration, _ programme: Programme,
    _ performer: some TaskPerformer, handle: (WorkerEvent) -> Void
  ) throws {
    switch self {
    case .evaluation:
      try performer.perform(EvaluateTask(directory: run.path), handle: handle).write(to: run.path)
    case .measurement:
      let request = MeasureRequest(file: Product.numbers.file(in: run))
      try performer.perform(MeasureTask(request), handle: handle).write(to: run.path)
    default:
      let request = capture(configuration, programme)
      _ = try performer.perform(
        CaptureTask(directory: run.path, capture: name, request: request), handle: handle)
    }
  }

  /// The capture that is asked for.
  private func capture(_ configuration: Configuration, _ programme: Programme) -> CaptureRequest {
    var captured = configuration
    captured.capture = options(configuration, programme)
    var request = CaptureRequest(.mixtures(captured.mixtureSampling))
    if self == .trajectories {
      var sampling = TrajectorySampling()
      sampling.classCount = captured.capture.classCount
      request = CaptureRequest(.trajectories(sampling))
    }
    (request.classes, request.seed) = draw(configuration)
    return request
  }

  /// The settings of its capture.
  func options(_ configuration: Configuration, _ programme: Programme) -> Configuration.Capture {
    var options = programme.captures[name] ?? configuration.capture
    if self == .numbers, programme.captures[name] == nil {
      options.classCount = 0
      options.samples = 20_000
    }
    return options
  }

  /// The classes of its capture, or the seed that they are drawn by.
  func draw(_ configuration: Configuration) -> (classes: [ClassChoice], seed: Int?) {
    guard case .triple(let number) = self else { return ([], nil) }
    let classes = Self.triple(number, configuration)
    // Of classes that are not known here, the worker draws three.
    return (classes, classes.isEmpty ? 1000 * (configuration.seed + 1) + number : nil)
  }

  /// Three classes, other ones for every number as long as there are others; none where it is not known
  /// which there are.
  static func triple(_ number: Int, _ configuration: Configuration) -> [ClassChoice] {
    let data = configuration.data
    let classes =
      data.classes.isEmpty
      ? (0..<(data.facts?.classes ?? 0)).map { ClassChoice("\($0)") } : data.classes
    guard classes.count > 3 else { return classes }
    var stream = RandomStream(seed: UInt64(configuration.seed)).split("triples")
    var drawn: [[Int]] = []
    let available = classes.count * (classes.count - 1) * (classes.count - 2) / 6
    while drawn.count < number {
      let triple = stream.nextSubset(3, below: classes.count).sorted()
      if !drawn.contains(triple) || drawn.count >= available { drawn.append(triple) }
    }
    return drawn[number - 1].map { classes[$0] }
  }
}
