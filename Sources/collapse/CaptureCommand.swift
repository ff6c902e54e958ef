import ArgumentParser
import Experiment
import Foundation

struct CaptureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Push mixed training images through a run's network and keep its activations.",
    discussion: """
      Writes captures/NAME.safetensors in the run's directory. What is not said here is as in the
      run's configuration (capture.…).

      EXAMPLES
        collapse capture runs/first --classes 0,1,8 --samples 5000 --name shirts
        collapse capture runs/vit --trajectories --name paths
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String

  @Option(name: .long, help: "Name of the capture; one of this name is replaced.")
  var name = "capture"

  @Option(name: .long, help: "Classes, by number or name: 0,1,8 or Bag,Coat. Default: drawn at random.")
  var classes: ClassList?

  @Option(name: .long, help: "Number of mixtures.")
  var samples: Int?

  @Option(
    name: .long, help: "batch (the network in train mode, as in the paper) or running (evaluation mode).")
  var statistics: String?

  @Option(name: .customLong("class-count"), help: "How many classes to draw; 0: all of them.")
  var classCount: Int?

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

  @OptionGroup var network: NetworkOptions

  @OptionGroup var output: JSONOption

  func run() throws {
    let run = try RunDirectory.open(directory)
    guard !name.isEmpty, !name.contains("/"), !name.hasPrefix(".") else {
      throw Failure(.usage, "--name \"\(name)\" is not a plain file name.")
    }
    var configuration = try run.loadConfiguration()
    if let samples { configuration.capture.samples = samples }
    if let statistics {
      guard let value = Configuration.Capture.Statistics(rawValue: statistics) else {
        throw Failure(.usage, "--statistics is batch or running, not \(statistics).")
      }
      configuration.capture.statistics = value
    }
    if let classCount { configuration.capture.classCount = classCount }
    try configuration.validate()
    var request = CaptureRequest(directory: directory, name: name, options: configuration.capture)
    request.trajectories = try followed
    request.classes = classes?.values ?? []
    request.seed = seed
    request.weights = network.weights
    request.device = network.device
    let display = Display(quiet: output.json)
    let json = try WorkerProcess.run(.capture(request), handle: display.show)
    display.clear()
    if output.json { return print(json) }
    let made = try JSONDecoder().decode([String: String].self, from: Data(json.utf8))
    print(made["capture"] ?? "")
  }

  /// What to follow through the layers, if anything.
  private var followed: CaptureRequest.Trajectories? {
    get throws {
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
      var wanted = CaptureRequest.Trajectories()
      wanted.pairs = pairs ?? wanted.pairs
      wanted.lambdas = lambdas ?? wanted.lambdas
      guard wanted.pairs >= 1, wanted.lambdas >= 2 else {
        throw Failure(.usage, "--pairs must be 1 or more and --lambdas 2 or more.")
      }
      return wanted
    }
  }
}

/// Classes by number or name, with commas between them.
struct ClassList: ExpressibleByArgument {
  let values: [Configuration.ClassChoice]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    values = parts.map { Configuration.ClassChoice(String($0)) }
  }
}
