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
  init(_ name: Configuration.Dataset, fetch: Bool) throws {
    let dataset: ImageDataset
    switch name {
    case .fashionMNIST: dataset = try FashionMNIST.load(fetch: fetch) { Worker.emit(.fetching($0, $1)) }
    case .cifar10: dataset = try CIFAR.ten.load()
    case .cifar100: dataset = try CIFAR.hundred.load()
    case .idx:
      throw Failure(.usage, "\(name.rawValue) is a format of your own files; there is nothing to fetch.")
    }
    self.name = name.rawValue
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
