// swift-tools-version: 6.1
import PackageDescription

// A training loop of one's own, with Collapse's libraries. Here Collapse is two directories up.
// In the directory of a checkout of yours, run scripts/bootstrap once and name it: .package(path: "../Collapse").
let products = ["Datasets", "Geometry", "Models", "NN", "Randomness", "Records", "Training"]
let package = Package(
  name: "Train",
  dependencies: [.package(name: "Collapse", path: "../..")],
  targets: [
    .executableTarget(
      name: "train-loop", dependencies: products.map { .product(name: $0, package: "Collapse") })
  ])
