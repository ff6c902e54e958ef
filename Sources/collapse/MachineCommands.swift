import ArgumentParser
import Experiment
import Figures
import Foundation
import SystemTools

struct DataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Find, fetch and verify data sets.",
    subcommands: [List.self, Fetch.self, Verify.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Say which data sets there are and where they were found.",
      discussion: """
        EXAMPLE
          collapse data list
        """)

    @OptionGroup var output: JSONOption

    func run() throws {
      let json = try WorkerProcess.run(.doctor)
      let report = try JSONDecoder.collapse.decode(EngineReport.self, from: Data(json.utf8))
      if output.json {
        let found = [
          "fashion-mnist": report.fashionMnist, "cifar10": report.cifar10, "cifar100": report.cifar100,
        ]
        return try print(JSONEncoder.collapsePretty.text(found))
      }
      print("fashion-mnist  \(report.fashionMnist ?? "not here; collapse data fetch fashion-mnist")")
      print("cifar10        \(report.cifar10 ?? "not here; collapse data fetch cifar10")")
      print("cifar100       \(report.cifar100 ?? "not here; collapse data fetch cifar100")")
      print("folder         your own images: --set data.dataset=folder --set data.path=DIRECTORY")
      print("idx            your own IDX files: --set data.dataset=idx --set data.path=DIRECTORY")
    }
  }

  struct Fetch: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "fetch", abstract: "Bring a data set here, unless it is, and verify it.",
      discussion: """
        Looked for in COLLAPSE_DATA, in Debian's package (FashionMNIST), then in the cache
        (COLLAPSE_CACHE); fetched from Debian's archive or the official site. A download of CIFAR
        that was broken off goes on where it ended.

        EXAMPLE
          collapse data fetch cifar10
        """)

    @Argument(help: "The data set: fashion-mnist, cifar10 or cifar100.")
    var name = "fashion-mnist"

    @OptionGroup var output: JSONOption

    func run() throws {
      let data = try Configuration.Data(named: name)
      guard ![.folder, .idx].contains(data.dataset) else {
        throw Failure(.usage, "\(name) is a format of your own files; there is nothing to fetch.")
      }
      try DataCommand.look(data, fetch: true, json: output.json)
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify", abstract: "Check that a data set's files are whole and right.",
      discussion: """
        What was packed for quick starts is packed anew.

        EXAMPLES
          collapse data verify fashion-mnist
          collapse data verify folder --path ~/flowers --image-size 64
        """)

    @Argument(help: "The data set: fashion-mnist, cifar10, cifar100, folder or idx.")
    var name = "fashion-mnist"

    @Option(name: .long, help: "Where it is; needed for folder and idx.") var path = ""
    @Option(name: .long, help: "For folder: size to scale and crop to; 0: as they are.") var imageSize = 0
    @Flag(name: .long, help: "For folder: go on without images that cannot be decoded.")
    var skipCorrupt = false

    @OptionGroup var output: JSONOption

    func run() throws {
      var data = try Configuration.Data(named: name)
      data.path = path
      data.imageSize = imageSize
      data.skipCorrupt = skipCorrupt
      try DataCommand.look(data, fetch: false, json: output.json)
    }
  }

  private static func look(_ data: Configuration.Data, fetch: Bool, json: Bool) throws {
    var configuration = Configuration()
    configuration.data = data
    try configuration.validate()
    let display = Display(quiet: json)
    let result = try WorkerProcess.run(.data(data, fetch: fetch), handle: display.show)
    display.clear()
    if json { return print(result) }
    struct Report: Decodable {
      let name, directory: String
      let trainingImages, testImages: Int
      let shape: [Int]
      let classes: [String]
    }
    let report = try JSONDecoder.collapse.decode(Report.self, from: Data(result.utf8))
    print(
      "\(report.name): \(report.trainingImages) training and \(report.testImages) test images of "
        + "\(report.shape.map(String.init).joined(separator: "×")), \(report.classes.count) classes"
        + (data.dataset == .fashionMNIST ? ", checksums right" : "")
    )
    print("in \(report.directory)")
  }
}

extension Configuration.Data {
  /// The data set of a name.
  ///
  /// - Throws: `Failure` if there is none.
  fileprivate init(named name: String) throws {
    let names = Configuration.Dataset.allCases.map(\.rawValue)
    guard let dataset = Configuration.Dataset(rawValue: name) else {
      throw Failure(.usage, "there is no data set \"\(name)\"." + suggestion(for: name, among: names))
    }
    self.init()
    self.dataset = dataset
  }
}

/// What the worker says of its engine.
struct EngineReport: Decodable {
  let libtorchCompiled: String
  let libtorchLoaded: String?
  let cudaDevices: Int
  let device: String
  let precision: String
  let threads: Int
  let fashionMnist, cifar10, cifar100: String?
}

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what is installed, what would be used, and how to mend what is missing.",
    discussion: """
      EXAMPLE
        collapse doctor
      """)

  @OptionGroup var output: JSONOption

  private struct Check: Encodable {
    var name: String
    var isRight: Bool
    var finding: String
    var remedies: [String] = []
  }

  func run() throws {
    var checks = [Check(name: "collapse", isRight: true, finding: collapseVersion)]
    do {
      let json = try WorkerProcess.run(.doctor)
      let report = try JSONDecoder.collapse.decode(EngineReport.self, from: Data(json.utf8))
      let devices = report.cudaDevices == 0 ? "no CUDA device" : "\(report.cudaDevices) CUDA device(s)"
      checks += [
        Check(name: "libtorch", isRight: true, finding: report.libtorchLoaded ?? report.libtorchCompiled),
        Check(
          name: "device", isRight: true,
          finding: "\(report.device) (\(devices)), \(report.precision), \(report.threads) threads"),
        Check(
          name: "fashion-mnist", isRight: true,
          finding: report.fashionMnist ?? "not here; it is fetched when it is needed"),
      ]
    } catch let failure as Failure {
      checks.append(
        Check(name: "libtorch", isRight: false, finding: failure.reason, remedies: failure.remedies))
    }
    do {
      let version = try FigureRenderer(project: ProgramLocation.project).version()
      checks.append(Check(name: "figures", isRight: true, finding: "vl-convert \(version)"))
    } catch let failure as Failure {
      checks.append(
        Check(name: "figures", isRight: false, finding: failure.reason, remedies: failure.remedies))
    }
    if output.json {
      try print(JSONEncoder.collapsePretty.text(checks))
    } else {
      for check in checks {
        print("\(check.isRight ? "ok     " : "MISSING")  \(check.name): \(check.finding)")
        check.remedies.forEach { print("           \($0)") }
      }
    }
    if checks.contains(where: { !$0.isRight }) { throw ExitCode(ExitStatus.missing.rawValue) }
  }
}
