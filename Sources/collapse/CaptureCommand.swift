import ArgumentParser
import Experiment
import Foundation
import Problems
import Records
import Tasks

struct CaptureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Push mixed training images through a network and keep its activations.",
    discussion: """
      Of a run, writes captures/NAME.safetensors in its directory; what is not said here is as in the \
      run's configuration (capture.…). Of a network that was trained elsewhere, given as weights or as a \
      TorchScript module, writes the file of --out. --plain takes images as they are, for collapse measure.

      EXAMPLES
        collapse capture runs/first --classes 0,1,8 --samples 5000 --name shirts
        collapse capture runs/vit --trajectories --class-count 3
        collapse capture runs/first --plain --layers --name plain
        collapse capture --weights w.safetensors --model wrn-28-10 \\
          --data cifar10 -o mixed.safetensors
        collapse capture --module net.pt --data cifar10 --plain -o plain.safetensors
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String?

  @Option(
    name: .long,
    help: "Name of the capture; one of this name is replaced. Default: capture, or trajectories for those.")
  var name: String?

  @Option(name: .long, help: "Classes, by number or name: 0,1,8 or Bag,Coat. Default: drawn at random.")
  var classes: ClassList?

  @Option(
    name: .long, help: "Number of mixtures; with --plain, of training and of test images (default: all).")
  var samples: Int?

  @Option(
    name: .long, help: "batch (the network in train mode, as in the paper) or running (evaluation mode).")
  var statistics: String?

  @Option(name: .customLong("class-count"), help: "How many classes to draw; 0: all of them.")
  var classCount: Int?

  @Flag(name: .long, help: "Capture training and test images as they are, instead of mixtures.")
  var plain = false

  @Flag(name: .long, help: "With --plain: keep the features after every layer, too.")
  var layers = false

  @Flag(
    name: .long,
    help: "Follow the class token of a few mixtures through the layers of a transformer instead (Figure 3).")
  var trajectories = false

  @Option(name: .long, help: "For trajectories: pairs of images of each kind. Default: 50.")
  var pairs: Int?

  @Option(name: .long, help: "For trajectories: values of λ, evenly spaced from 0 to 1. Default: 11.")
  var lambdas: Int?

  @Option(name: .long, help: "Seed of the draw. Default: the run's.")
  var seed: Int?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Of a run: last, or best (the epoch with the highest accuracy). Else a file of weights, with --model.",
      valueName: "last|best|file"))
  var weights: String?

  @Option(name: .long, help: "cpu, cuda, cuda:N or auto. Default: the run's, else auto.")
  var device: String?

  @OptionGroup(title: "Networks trained elsewhere") var foreign: ForeignNetworkOptions

  @OptionGroup var output: JSONOption

  func run() throws {
    let display = Display(quiet: output.json)
    let report = try perform(display)
    display.clear()
    print(output.json ? try report.json() : report.capture)
  }

  private func perform(_ display: Display) throws -> CaptureReport {
    guard let directory else {
      guard classes == nil else {
        throw Failure(
          .usage, "--classes is for captures of a run; --network-classes says which a network knows.")
      }
      do {
        return try WorkerProcess().perform(foreignTask(), handle: display.show)
      } catch {
        throw Failure(describing: error, in: .foreignNetwork)
      }
    }
    try foreign.checkAbsent()
    guard let chosen = RunDirectory.Weights(rawValue: weights ?? "last") else {
      throw Failure(
        .usage, "--weights is last or best for a run, not \(weights ?? "").",
        remedies: ["For weights that were trained elsewhere leave the run out: collapse capture --help."])
    }
    var task = CaptureTask(
      directory: directory, capture: try captureName,
      request: try request(RunDirectory.open(directory).loadConfiguration()))
    task.weights = chosen
    task.device = device
    return try WorkerProcess().perform(task, handle: display.show)
  }

  private func foreignTask() throws -> ForeignCaptureTask {
    _ = try captureName
    // Of a network that is not known yet the whole is wanted.
    var base = Configuration()
    base.capture.classCount = 0
    var request = try request(base)
    request.seed = seed ?? 0
    return try foreign.task(weights: weights, request, device: device, name: name)
  }

  private var captureName: String {
    get throws {
      let name = name ?? (trajectories ? "trajectories" : "capture")
      guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else {
        throw Failure(.usage, "--name \"\(name)\" is not a plain file name.")
      }
      return name
    }
  }

  /// What is asked for, and for the rest as a configuration has it.
  private func request(_ base: Configuration) throws -> CaptureRequest {
    var configuration = base
    if let samples, !plain { configuration.capture.samples = samples }
    let chosen = try statistics.map { text in
      guard let value = Configuration.Capture.Statistics(rawValue: text) else {
        throw Failure(.usage, "--statistics is batch or running, not \(text).")
      }
      return value
    }
    // A module is exported in evaluation mode, and many cannot do otherwise.
    configuration.capture.statistics =
      chosen ?? (foreign.module == nil ? configuration.capture.statistics : .running)
    if let classCount { configuration.capture.classCount = classCount }
    try configuration.validate()
    let followed = try trajectorySampling(configuration.capture.classCount)
    let still = try plainSampling(chosen)
    var request = CaptureRequest(
      followed.map { .trajectories($0) } ?? still.map { .plain($0) }
        ?? .mixtures(configuration.mixtureSampling))
    request.classes = classes?.values ?? []
    request.seed = seed
    return request
  }

  private func plainSampling(_ statistics: Configuration.Capture.Statistics?) throws -> PlainSampling? {
    guard plain else {
      guard !layers else { throw Failure(.usage, "--layers is for --plain, which is not given.") }
      return nil
    }
    guard !trajectories, classCount == nil, directory == nil || classes == nil else {
      throw Failure(
        .usage,
        "--plain takes images of all classes: --trajectories, --classes and --class-count are not for it.")
    }
    guard samples.map({ $0 > 0 }) ?? true else {
      throw Failure(.usage, "--samples must be 1 or more.")
    }
    var sampling = PlainSampling()
    sampling.samples = samples ?? 0
    sampling.layers = layers
    sampling.usesBatchStatistics = statistics == .batch
    return sampling
  }

  /// What to follow through the layers, if anything.
  private func trajectorySampling(_ classCount: Int) throws -> TrajectorySampling? {
    guard trajectories else {
      guard pairs == nil, lambdas == nil else {
        throw Failure(.usage, "--pairs and --lambdas are for --trajectories, which is not given.")
      }
      return nil
    }
    guard samples == nil, statistics == nil else {
      throw Failure(
        .usage, "--samples and --statistics are not for --trajectories.", remedies: ["--pairs is."])
    }
    var sampling = TrajectorySampling()
    sampling.classCount = classCount
    sampling.pairs = pairs ?? sampling.pairs
    sampling.lambdas = lambdas ?? sampling.lambdas
    guard sampling.pairs >= 1, sampling.lambdas >= 2 else {
      throw Failure(.usage, "--pairs must be 1 or more and --lambdas 2 or more.")
    }
    return sampling
  }
}
