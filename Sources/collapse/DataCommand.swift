import ArgumentParser
import Datasets
import Experiment
import Foundation
import Problems
import Records

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
      let fetchable = DatasetCatalogue.all.filter(\.isFetchable)
      let places = try fetchable.map { try $0.locate() }
      if output.json {
        let found = Dictionary(uniqueKeysWithValues: zip(fetchable.map(\.name), places))
        return try print(JSONEncoder.collapsePretty.text(found))
      }
      func row(_ name: String, _ text: String) {
        print(name.padding(toLength: max(15, name.count + 2), withPad: " ", startingAt: 0) + text)
      }
      for (dataset, place) in zip(fetchable, places) {
        row(dataset.name, place ?? "not here; collapse data fetch \(dataset.name)")
      }
      for format in DatasetCatalogue.all where !format.isFetchable {
        row(
          format.name,
          "your own \(format.title): --set data.dataset=\(format.name) --set data.path=DIRECTORY")
      }
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

    @Argument(help: "The data set: \(DatasetNames.listed(DatasetNames.fetchable)).")
    var name = "fashion-mnist"

    @OptionGroup var output: JSONOption

    func run() throws {
      let data = try Configuration.Data(named: name)
      guard data.dataset.descriptor.isFetchable else {
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

    @Argument(help: "The data set: \(DatasetNames.listed(DatasetNames.all)).")
    var name = "fashion-mnist"

    @Option(name: .long, help: "Where it is; needed for folder, idx and arrays.") var path = ""
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

  /// Reads a data set from its files, and says what is in it.
  private static func look(_ data: Configuration.Data, fetch: Bool, json: Bool) throws {
    try data.validate()
    let display = Display(quiet: json)
    var request = DatasetDescriptor.Request(path: data.path.isEmpty ? nil : data.path)
    request.imageSize = data.imageSize
    request.skipsCorrupt = data.skipCorrupt
    request.fetch = fetch
    request.verify = true
    let dataset = try data.dataset.descriptor.load(request) { display.show(.working($0, $1)) }
    for note in dataset.notes { display.line(note) }
    display.clear()
    let report = DataReport(data.dataset.name, dataset)
    if json { return print(try report.json()) }
    print(
      "\(report.name): \(report.trainingImages) training and \(report.testImages) test images of "
        + "\(report.shape.map(String.init).joined(separator: "×")), \(report.classes.count) classes"
        + (data.dataset.descriptor.isVerifiedByChecksum ? ", checksums right" : "")
    )
    print("in \(report.directory)")
  }
}

extension DataReport {
  /// What was found of a data set.
  fileprivate init(_ name: String, _ dataset: ImageDataset) {
    self.init(
      name: name, directory: dataset.origin, trainingImages: dataset.training.count,
      testImages: dataset.test.count, classes: dataset.classNames,
      shape: [dataset.shape.height, dataset.shape.width, dataset.shape.channels])
  }
}
