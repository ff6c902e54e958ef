import ArgumentParser
import Experiment
import Foundation
import Problems
import Tasks

/// A network that was trained elsewhere, and the data that it is shown.
struct ForeignNetworkOptions: ParsableArguments {
  @Option(name: .long, help: "Architecture of the weights, such as wrn-28-10 or vit-ti-4.")
  var model: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "A TorchScript module that gives features and logits. It is a program: load only those you trust.",
      valueName: "file"))
  var module: String?

  @Option(name: .long, help: "Name of the module's last layer. Default: found by what it computes.")
  var classifier: String?

  @Option(name: .long, help: "\(DatasetNames.listed(DatasetNames.all)).")
  var data: String?

  @Option(name: .customLong("data-path"), help: "Where the images are; needed for folder, idx and arrays.")
  var dataPath: String?

  @Option(name: .customLong("image-size"), help: "For folder: height and width to scale and crop images to.")
  var imageSize: Int?

  @Flag(name: .customLong("skip-corrupt"), help: "For folder: go on without images that cannot be decoded.")
  var skipCorrupt = false

  @Option(
    name: .customLong("network-classes"),
    help: "Classes that the network knows, in its order, by number or name. Default: all of the data's.")
  var networkClasses: ClassList?

  @Option(name: .long, help: "Mean a channel of pixels from 0 to 1, as in training: 0.4914,0.4822,0.4465.")
  var mean: NumberArguments?

  @Option(name: .long, help: "Standard deviation a channel. Default: the data's own, as the mean.")
  var deviation: NumberArguments?

  @Option(name: .long, help: "fp32, bf16 or auto. Default: fp32.")
  var precision: Configuration.Precision?

  @Option(name: [.customShort("o"), .customLong("out")], help: "The file to write.")
  var out: String?

  /// Refuses these options for a run, which has all of it.
  func checkAbsent() throws {
    let all: [(name: String, isGiven: Bool)] = [
      ("--model", model != nil), ("--module", module != nil), ("--classifier", classifier != nil),
      ("--data", data != nil), ("--data-path", dataPath != nil), ("--image-size", imageSize != nil),
      ("--network-classes", networkClasses != nil), ("--mean", mean != nil),
      ("--deviation", deviation != nil), ("--out", out != nil), ("--precision", precision != nil),
      ("--skip-corrupt", skipCorrupt),
    ]
    let given = all.filter(\.isGiven).map(\.name)
    guard given.isEmpty else {
      throw Failure(
        .usage, "\(given.joined(separator: ", ")): a run has its own network and data.",
        remedies: ["Leave the run out to capture a network that was trained elsewhere."])
    }
  }

  /// The capture that is asked for.
  func task(
    weights: String?, _ request: CaptureRequest, device: String?, name: String?
  ) throws -> ForeignCaptureTask {
    let network = try network(weights: weights)
    guard name == nil else {
      throw Failure(.usage, "--name is for captures of a run; --out names the file here.")
    }
    guard let out else { throw Failure(.usage, "--out says which file to write.") }
    let images = try images
    guard (mean == nil) == (deviation == nil) else {
      throw Failure(.usage, "--mean and --deviation belong together.")
    }
    // Before hours of computing, not after.
    try RunDirectory.makeDirectory(URL(fileURLWithPath: out).deletingLastPathComponent().path)
    try images.validate()
    var task = ForeignCaptureTask(network: network, data: images, out: out, request: request)
    (task.mean, task.deviation) = (mean?.values, deviation?.values)
    task.device = device ?? "auto"
    task.precision = precision ?? .fp32
    return task
  }

  private func network(weights: String?) throws -> ForeignCaptureTask.Network {
    switch (weights, module) {
    case (nil, nil):
      throw Failure(
        .usage, "there is nothing to capture: name a run, or --weights and --model, or --module.",
        remedies: ["collapse capture --help shows examples."])
    case (_?, _?): throw Failure(.usage, "--weights and --module are two networks; give one.")
    case (let weights?, nil):
      guard let model else {
        throw Failure(
          .usage, "--weights \(weights): --model says which architecture they are of, such as wrn-28-10.")
      }
      guard classifier == nil else { throw Failure(.usage, "--classifier is for --module.") }
      return .weights(weights, model: model)
    case (nil, let module?):
      guard model == nil else {
        throw Failure(.usage, "--model is for --weights; a module is its own architecture.")
      }
      return .module(module, classifier: classifier)
    }
  }

  private var images: Configuration.Data {
    get throws {
      guard let data else {
        throw Failure(.usage, "--data says which images to capture: cifar10, folder, …")
      }
      guard let dataset = Configuration.Dataset(named: data) else {
        throw Failure(
          .usage,
          "--data cannot be \"\(data)\": it is one of \(DatasetNames.all.joined(separator: ", "))."
            + suggestion(for: data, among: DatasetNames.all))
      }
      var images = Configuration.Data()
      images.dataset = dataset
      images.path = dataPath ?? ""
      images.imageSize = imageSize ?? 0
      images.skipCorrupt = skipCorrupt
      images.classes = networkClasses?.values ?? []
      return images
    }
  }
}
