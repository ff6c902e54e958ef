import ArgumentParser
import Experiment
import Figures
import Foundation

/// Where a run comes from and goes to.
struct RunOptions: ParsableArguments {
  @Option(name: .long, help: "cpu, cuda, cuda:N, or auto: CUDA where there is one.")
  var device: String?

  @Option(name: .long, help: "Seed of every random number of the run.")
  var seed: Int?

  @Option(name: .long, help: "Directory for the run; it must not exist. Default: runs/NAME.")
  var out: String?

  @OptionGroup var output: JSONOption

  /// The options as a source of configuration.
  var sources: [Configuration.Source] {
    get throws {
      try [device.map { "device=\($0)" }, seed.map { "seed=\($0)" }].compactMap { $0 }
        .map { try Configuration.Source(assignment: $0) }
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

      EXAMPLES
        collapse train --preset wrn-16-2-fashion-mnist --set epochs=10
        collapse train --config mine.yaml --set optimizer.learning_rate=0.05 --seed 3 --out runs/b
      """)

  @Option(
    name: .long,
    help: "A configuration that comes with the program: \(Presets.all.keys.sorted().joined(separator: ", "))."
  )
  var preset: String?

  @Option(name: .long, help: "A YAML file with a configuration.")
  var config: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("One setting, such as mixup.alpha=0.4. May be repeated.", valueName: "key=value"))
  var settings: [String] = []

  @OptionGroup var options: RunOptions

  func run() throws {
    guard preset != nil || config != nil || !settings.isEmpty else {
      throw Failure(
        .usage, "there is nothing to train: name a preset, a configuration file or a setting.",
        remedies: ["collapse train --preset wrn-16-2-fashion-mnist", "collapse train --help shows more."])
    }
    var sources: [Configuration.Source] = []
    if let preset { sources.append(try Presets.source(preset)) }
    if let config { sources.append(try Configuration.Source(file: config)) }
    sources += try settings.map { try Configuration.Source(assignment: $0) } + options.sources
    let configuration = try Configuration(sources)
    let display = Display(quiet: options.output.json)
    let summary = try Self.train(configuration, out: options.out, display)
    try Self.present(summary, nil, json: options.output.json, display)
  }

  /// Trains to the end and draws; gives the summary as JSON.
  static func train(_ configuration: Configuration, out: String?, _ display: Display) throws -> String {
    return try WorkerProcess.run(
      .train(configuration: configuration, directory: out, command: CommandLine.arguments),
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
  static func present(_ summary: String, _ run: RunDirectory?, json: Bool, _ display: Display) throws -> Bool
  {
    display.clear()
    let result = try RunResult(summary)
    print(json ? summary : result.text)
    try finishOutput()
    let run = run ?? RunDirectory(result.run)
    let later = "draw it with: collapse figure activations \(run.path)"
    WorkerSignals.say("interrupted before the figure was drawn; \(later)")
    do {
      let files = try FigureCommand.Activations.draw(run)
      FigureEvents.write(files, of: run)
      if !json { files.forEach { print("figure: \($0)") } }
      return true
    } catch let failure as Failure {
      guard failure.status == .usage || failure.status == .missing else {
        throw Failure(
          failure.status, failure.reason, remedies: failure.remedies + ["Once it is mended, \(later)"])
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

  func run() throws {
    let run = try RunDirectory.open(directory)
    let display = Display(quiet: output.json)
    // One that is damaged is made again.
    if let summary = try? String(contentsOfFile: run.summary, encoding: .utf8),
      (try? RunResult(summary)) != nil
    {
      display.line("\(directory) is finished; nothing to do.")
      try TrainCommand.present(summary, run, json: output.json, display)
      return
    }
    let summary = try WorkerProcess.run(
      .resume(directory: directory, command: CommandLine.arguments), handle: display.show)
    try TrainCommand.present(summary, run, json: output.json, display)
  }
}

/// What is read back of a run's summary.
struct RunResult: Decodable {
  let run: String
  let testAccuracy: Double
  let sameClassAlignment: Double
  let classifierNormVariation: Double
  let classifierCosineDeviation: Double
  let seconds: Double

  /// Reads it from JSON.
  init(_ json: String) throws { self = try JSONDecoder.collapse.decode(Self.self, from: Data(json.utf8)) }

  /// The summary for people.
  var text: String {
    func shown(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    return """
      test accuracy          \(shown(100 * testAccuracy, 2)) %
      same-class alignment   \(shown(sameClassAlignment, 3))  (1: class means point along the classifier)
      classifier             norms ±\(shown(100 * classifierNormVariation, 1)) %, cosines ±\(shown(classifierCosineDeviation, 3))  (0: a simplex ETF)
      time                   \(Display.duration(seconds))
      """
  }
}

extension Configuration.Source {
  /// The text of a file.
  ///
  /// - Throws: `Failure` if it cannot be read.
  init(file: String) throws {
    // Read as a stream: it may be a pipe.
    guard let handle = FileHandle(forReadingAtPath: file), let data = try? handle.readToEnd() ?? Data(),
      let text = String(data: data, encoding: .utf8)
    else {
      let exists = FileManager.default.fileExists(atPath: file)
      throw Failure(
        exists ? .badData : .missing, "\(file) \(exists ? "cannot be read as text" : "does not exist").")
    }
    self.init(text: text, name: file)
  }
}
