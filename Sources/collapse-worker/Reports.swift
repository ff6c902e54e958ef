import Datasets
import Experiment
import Foundation
import Torch
import Training

/// What `collapse data` gives.
struct DataReport: Encodable {
  let name: String
  let directory: String
  let trainingImages: Int
  let testImages: Int
  let classes: [String]
  let shape: [Int]

  /// Finds and verifies a data set.
  init(_ data: Configuration.Data, fetch: Bool) throws {
    let dataset = try Setup.load(data, fetch: fetch, verify: true) { Worker.emit(.fetching($0, $1)) }
    for note in dataset.notes { Worker.emit(.note(note)) }
    name = data.dataset.rawValue
    directory = dataset.origin
    trainingImages = dataset.training.count
    testImages = dataset.test.count
    classes = dataset.classNames
    shape = Array(dataset.training.images.shape[1...])
  }
}

/// What `collapse doctor` asks the engine.
struct EngineReport: Encodable {
  let libtorchCompiled = Engine.compiledVersion
  let libtorchLoaded = Engine.loadedVersion
  let cudaDevices = Engine.cudaDeviceCount
  let device: String
  let precision: String
  let threads = Engine.threadCount
  let fashionMnist, cifar10, cifar100: String?

  /// Looks.
  init() throws {
    let device = try Device(named: "auto")
    self.device = "\(device)"
    precision = Setup.resolved(.auto, on: device).rawValue
    fashionMnist = try FashionMNIST.locate()
    cifar10 = CIFAR.ten.locate()
    cifar100 = CIFAR.hundred.locate()
  }
}
