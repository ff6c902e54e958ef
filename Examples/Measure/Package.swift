// swift-tools-version: 6.1
import PackageDescription

// A package of its own that measures features with Collapse's libraries. Here Collapse is two directories up.
// In the directory of a checkout of yours, run scripts/bootstrap once and name it: .package(path: "../Collapse").
let package = Package(
  name: "Measure",
  dependencies: [.package(name: "Collapse", path: "../..")],
  targets: [
    .executableTarget(
      name: "measure-features",
      dependencies: [
        .product(name: "Geometry", package: "Collapse"), .product(name: "Randomness", package: "Collapse"),
        .product(name: "Theory", package: "Collapse"), .product(name: "Torch", package: "Collapse"),
      ])
  ])
