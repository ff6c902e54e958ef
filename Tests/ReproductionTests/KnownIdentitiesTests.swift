import Experiment
import Testing

@testable import Reproduction

/// Runs and products on people's disks are found by these: they stay what they were in version 0.1.0.
@Suite struct KnownIdentitiesTests {
  static let directories: [(scale: String, names: [String])] = [
    (
      "quick",
      [
        "wrn-fashion-mnist-mixup-a0e81b7baa9e", "wrn-cifar10-baseline-aefb857e2d16",
        "wrn-cifar10-mse-16bc951062ea", "wrn-cifar10-etf-fd5708d4a6e9",
        "vit-cifar100-baseline-067fda93430c", "vit-cifar10-adamw-2fb811dcdc91",
      ]
    ),
    (
      "small",
      [
        "wrn-fashion-mnist-mixup-65c9a6c561e0", "vit-cifar10-mixup-49cffa89a759",
        "wrn-cifar10-alpha-0.4-a6806e0805db", "wrn-cifar10-mixup-seed-1-69044aa36e55",
        "wrn-cifar10-etf-seed-2-c1e3d04d64c1",
      ]
    ),
    ("paper", ["wrn-fashion-mnist-mixup-ae3593a48216", "wrn-cifar100-mixup-964431669c64"]),
  ]

  @Test(arguments: directories) func directoriesOfRuns(scale: String, names: [String]) throws {
    let reproduction = try Reproduction(Programme(scale: scale), directory: "/nowhere", data: nil)
    // The paper's has hundreds of candidates.
    let plan = try reproduction.plan(scale == "paper" ? [.figure1] : PaperItem.all)
    let found = (plan.candidates + plan.runs).map {
      $0.directory.path.split(separator: "/").last.map(String.init)
    }
    for name in names { #expect(found.contains(name), "\(name)") }
  }

  /// Of images that are not known before they are read, and of three classes.
  static let programmes = [
    "base: {data: {dataset: idx, path: .}, capture: {samples: 60, batch_size: 30, at: [0.2, 0.6]}}\n"
      + "captures: {numbers: {class_count: 0, samples: 300, batch_size: 50}}",
    "base: {data: {dataset: idx, path: ., classes: [2, 1, 0]}, capture: {samples: 60, batch_size: 30, at: [0.2, 0.6]}}"
      + "\ncaptures: {triple-2: {samples: 50}}",
  ]

  static let keys: [(programme: Int, product: Product, key: String)] = [
    (0, .numbers, "71b3db517339bfe7"), (0, .trajectories, "55a05d4efceef0fc"),
    (0, .evaluation, "72d03b32e583b47b"), (0, .measurement, "469d2c10fa2d4ff3"),
    (0, .triple(1), "3515817d6e822ed8"), (0, .triple(5), "393a4c9d24c33a6"),
    (1, .triple(1), "da97bf1cf68b9284"), (1, .triple(2), "b3246eb113788c48"),
    (1, .triple(6), "5b304fcc5d6be679"),
  ]

  @Test(arguments: keys) func keysOfProducts(programme: Int, product: Product, key: String) throws {
    let programme = try Programme(text: Self.programmes[programme], name: "mine", file: "mine.yaml")
    let configuration = try programme.configuration(of: RunKey("wrn", "cifar10", "mixup"))
    #expect(try product.key(configuration, programme) == key)
  }

  /// What is drawn depends on the stream of random numbers alone.
  @Test func knownTriples() throws {
    let configuration = try Programme(scale: "small").configuration(of: RunKey("wrn", "cifar10", "mixup"))
    let found = (1...3).map { Product.triple($0, configuration).map(\.description) }
    #expect(found == [["4", "6", "8"], ["0", "1", "8"], ["0", "1", "6"]])
  }

  @Test func itemsAreOnAList() throws {
    let names = PaperItem.all.map(\.name)
    #expect(Set(names).count == names.count && PaperItem.all.sorted() == PaperItem.all)
    #expect(PaperItem.all.first?.heading == "Figure 1" && PaperItem.all.last?.heading == "Layers")
  }
}
