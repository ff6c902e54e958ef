// swift-tools-version: 6.1
import PackageDescription

// scripts/bootstrap links libtorch here, so that plain `swift build` needs no environment.
let libtorch = Context.packageDirectory + "/.collapse/libtorch"

// `make check` sets COLLAPSE_STRICT: warnings in our own targets are errors there.
let strict: [SwiftSetting] =
  Context.environment["COLLAPSE_STRICT"] == nil ? [] : [.unsafeFlags(["-warnings-as-errors"])]

/// A target of ours, with the settings that all of them share.
func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, resources: fixtures ? [.copy("Fixtures")] : [],
    swiftSettings: strict)
}

let package = Package(
  name: "Collapse",
  products: [
    .library(name: "Geometry", targets: ["Geometry"]),
    .library(name: "Randomness", targets: ["Randomness"]),
    .library(name: "Theory", targets: ["Theory"]),
    .library(name: "Torch", targets: ["Torch"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    .target(
      name: "CTorch",
      cxxSettings: [.unsafeFlags(["-isystem", libtorch + "/include"])],
      linkerSettings: [
        .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]),
        .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
      ]),
    // Optimised also in debug builds, which the tests run: they would be a hundred times slower.
    .target(name: "CKernels", cxxSettings: [.unsafeFlags(["-O3", "-fno-math-errno", "-Wno-psabi"])]),
    module("Safetensors", ["SystemTools"]),
    module("Arrays", ["Safetensors", "SystemTools"]),
    module("Randomness"),
    module("SystemTools"),
    module("TensorBoard"),
    module("Theory", ["Randomness"]),
    .target(
      name: "Experiment",
      dependencies: ["SystemTools", .product(name: "Yams", package: "Yams")],
      resources: [.embedInCode("Presets")], swiftSettings: strict),
    module("Figures", ["Experiment", "Randomness", "Safetensors", "SystemTools", "Theory"]),
    .target(
      name: "Reproduction",
      dependencies: [
        "Experiment", "Figures", "Randomness", "Safetensors", "Theory",
        .product(name: "Yams", package: "Yams"),
      ],
      resources: [.embedInCode("Presets")], swiftSettings: strict),
    module("Report", ["Experiment", "Figures", "Reproduction"]),
    module("Torch", ["CTorch", "Safetensors"]),
    module("NN", ["CKernels", "Torch"]),
    module("Models", ["NN", "Torch"]),
    module("Datasets", ["Torch", "Randomness", "Safetensors", "SystemTools"]),
    module("Geometry", ["CKernels", "Randomness", "Theory", "Torch"]),
    module(
      "Training",
      [
        "Arrays", "Models", "Datasets", "Geometry", "Experiment", "NN", "Torch", "Randomness", "SystemTools",
        "TensorBoard", "Theory",
      ]),
    .executableTarget(
      name: "collapse",
      dependencies: [
        "Figures", "Experiment", "Randomness", "Report", "Reproduction", "SystemTools", "TensorBoard",
        "Theory",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "collapse-worker",
      dependencies: [
        "Arrays", "Training", "Models", "Datasets", "Experiment", "NN", "Safetensors", "SystemTools",
        "Theory",
        "Torch",
      ],
      swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Randomness"], path: "Tests/TestSupport", swiftSettings: strict),
    tests("ArraysTests", ["Arrays", "SystemTools", "TestSupport"]),
    tests(
      "CommandTests",
      ["Randomness", "Safetensors", "SystemTools", "TestSupport", "collapse", "collapse-worker"]),
    tests("DatasetsTests", ["Datasets", "Randomness", "SystemTools", "TestSupport", "Torch"]),
    tests(
      "FiguresTests", ["Figures", "Experiment", "Randomness", "Safetensors", "TestSupport", "Theory"]),
    tests(
      "GeometryTests", ["Geometry", "Figures", "Randomness", "Safetensors", "Theory", "Torch"],
      fixtures: true),
    tests("ReproductionTests", ["Reproduction", "Experiment", "TestSupport"]),
    tests("SafetensorsTests", ["Safetensors", "SystemTools"]),
    tests("ExperimentTests", ["Experiment"]),
    tests("NNTests", ["CKernels", "NN", "Torch"], fixtures: true),
    tests("ModelsTests", ["Models", "NN", "Torch"], fixtures: true),
    tests("RandomnessTests", ["Randomness"]),
    tests(
      "TrainingTests",
      [
        "Training", "Datasets", "Experiment", "Geometry", "NN", "Randomness", "TestSupport", "Theory",
        "Torch",
      ]),
    tests("SystemToolsTests", ["SystemTools", "TestSupport"]),
    tests("TensorBoardTests", ["TensorBoard", "TestSupport"]),
    tests("TheoryTests", ["Theory", "Randomness"], fixtures: true),
    tests("TorchTests", ["Torch"], fixtures: true),
  ],
  cxxLanguageStandard: .cxx20
)
