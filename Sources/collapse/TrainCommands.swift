import ArgumentParser
import Experiment
import Figures
import Foundation
import Problems
import Records
import Tasks

/// Where a run comes from and goes to.
struct RunOptions: ParsableArguments {
  @Option(name: .long, help: "cpu, cuda, cuda:N, or auto: CUDA where there is one.")
  var device: String?

  @Option(name: .long, help: "Seed of every random number of the run.")
  var seed: Int?

  @Option(name: .long, help: "Directory for the run; new, or empty. Default: runs/NAME.")
  var out: String?

  @OptionGroup var output: JSONOption

  /// The options as a source of configuration.
  var sources: [Configuration.Source] {
    get throws {
      try [device.map { "device=\($0)" }, seed.map { "seed=\($0)" }].compactMap { $0 }
        .map { try Configuration.Source(assignment: $0, name: "--set \($0)") }
    }
  }
}

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a network, capture its activations and draw them.",
    discussion: """
      A configuration is put together from a preset, a YAML file and single settings; later ones
      override earlier ones. Ctrl-C finishes the step and makes a checkpoint to resume from.

      Started by torchrun or srun, several processes train one run: each takes some of a batch's parts. The bits
      are the same for any number of them that divides gradient_accumulation; see docs/scale.md.

      EXAMPLES
        collapse train --preset wrn-16-2-fashion-mnist --set epochs=10
        collapse train --config mine.yaml --set optimizer.learning_rate=0.05 --seed 3 --out runs/b
        torchrun --no-python --nproc-per-node 4 collapse train --config mine.yaml --out runs/c
      """)

  @OptionGroup var choice: ConfigurationOptions

  @OptionGroup var options: RunOptions

  func run() throws {
    guard !choice.isEmpty else {
      throw Failure(
        .usage, "there is nothing to train: name a preset, a configuration file or a setting.",
        remedies: ["collapse train --preset wrn-16-2-fashion-mnist", "collapse train --help shows more."])
    }
    let configuration = try Configuration(choice.sources + options.sources)
    if try goesOn() { return }
    if try TeamWork.isJoined(configuration) { return }
    let display = Display(quiet: options.output.json)
    let summary = try Self.train(configuration, out: options.out, display)
    try Self.present(summary, nil, json: options.output.json, display)
  }

  /// Goes on with the run, where a launcher gives the same command again after a failure.
  ///
  /// - Returns: whether it has.
  private func goesOn() throws -> Bool {
    guard let out = options.out, let world = try World.current, world.restarts > 0,
      FileManager.default.fileExists(atPath: RunDirectory(out).configuration)
    else { return false }
    try ResumeCommand.resume(out, json: options.output.json)
    return true
  }

  /// Trains to the end.
  static func train(_ configuration: Configuration, out: String?, _ display: Display) throws -> RunSummary {
    try WorkerProcess().perform(
      TrainTask(configuration: configuration, directory: out, command: CommandLine.arguments),
      handle: display.show)
  }

  /// Prints the summary of a finished run and draws its activations.
  ///
  /// A picture that can't be drawn by its nature, or for want of a renderer, does not make the
  /// training a failure: it can be drawn later.
  ///
  /// - Parameter run: its directory; nil takes what the summary says, which is right for a new run.
  /// - Returns: whether there is a picture now.
  @discardableResult
  static func present(_ summary: RunSummary, _ run: RunDirectory?, json: Bool, _ display: Display) throws
    -> Bool
  {
    display.clear()
    print(json ? try summary.json() : summary.text)
    try finishOutput()
    let run = run ?? RunDirectory(summary.run)
    let later = "draw it with: collapse figure activations \(run.path)"
    WorkerSignals.say("interrupted before the figure was drawn; \(later)")
    do {
      let files = try FigureCommand.Activations.draw(run)
      FigureEvents.write(files, of: run)
      if !json { files.forEach { print("figure: \($0)") } }
      return true
    } catch {
      var failure = Failure(describing: error)
      guard [.usage, .missing].contains(failure.status) else {
        failure.remedies.append("Once it is mended, \(later)")
        throw failure
      }
      writeToStandardError("no figure was drawn: \(failure)\n")
      return false
    }
  }
}

struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Go on with an interrupted run from its checkpoint.",
    discussion: """
      EXAMPLE
        collapse resume runs/first
      """)

  @Argument(help: ArgumentHelp("The run's directory.", valueName: "run"))
  var directory: String

  @OptionGroup var output: JSONOption

  func run() throws { try Self.resume(directory, json: output.json) }

  /// Goes on with a run, alone or with the other processes of a launcher.
  static func resume(_ directory: String, json: Bool) throws {
    if try TeamWork.isJoined() { return }
    let run = try RunDirectory.open(directory)
    let display = Display(quiet: json)
    let summary = try TeamWork.leading { performer in
      // One that is damaged is made again; one of a later version is refused.
      if let summary = try RunSummary.whole(in: run.path) {
        display.line("\(directory) is finished; nothing to do.")
        return summary
      }
      return try performer.perform(
        ResumeTask(directory: directory, command: CommandLine.arguments), handle: display.show)
    }
    try TrainCommand.present(summary, run, json: json, display)
  }
}

extension RunSummary {
  /// For people.
  fileprivate var text: String {
    func shown(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    return """
      test accuracy          \(shown(100 * testAccuracy, 2)) %
      same-class alignment   \(shown(sameClassAlignment, 3))  (1: class means point along the classifier)
      classifier             norms ±\(shown(100 * classifierNormVariation, 1)) %, cosines ±\(shown(classifierCosineDeviation, 3))  (0: a simplex ETF)
      time                   \(Display.duration(seconds))
      """
  }
}
