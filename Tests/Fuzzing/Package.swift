// swift-tools-version: 6.1
import PackageDescription

// Fuzzing of the parsers that are this project's own. scripts/fuzz builds it, with COLLAPSE_FUZZ set, which makes products of
// all rooms that have them.
let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "Collapse", path: "../..")],
  targets: [
    .target(name: "CFuzzer"),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "CFuzzer", .product(name: "Arrays", package: "Collapse"),
        .product(name: "Datasets", package: "Collapse"),
        .product(name: "Experiment", package: "Collapse"), .product(name: "Records", package: "Collapse"),
        .product(name: "Tasks", package: "Collapse"), .product(name: "TensorBoard", package: "Collapse"),
      ]),
  ])
