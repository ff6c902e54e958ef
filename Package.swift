// swift-tools-version: 6.1
import PackageDescription

// scripts/bootstrap links libtorch here, so that plain `swift build` needs no environment.
let libtorch = Context.packageDirectory + "/.collapse/libtorch"

let linkLibtorch = ["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]

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

// Tests/Fuzzing, a package of its own, takes rooms that nobody else outside needs; scripts/fuzz sets COLLAPSE_FUZZ for it.
let fuzzed = ["Arrays", "Experiment", "Tasks", "TensorBoard"]
let productsForFuzzing: [Product] =
  Context.environment["COLLAPSE_FUZZ"] == nil ? [] : fuzzed.map { .library(name: $0, targets: [$0]) }

let package = Package(
  name: "Collapse",
  products: [
    .library(name: "Datasets", targets: ["Datasets"]),
    .library(name: "Geometry", targets: ["Geometry"]),
    .library(name: "Models", targets: ["Models"]),
    .library(name: "NN", targets: ["NN"]),
    .library(name: "Randomness", targets: ["Randomness"]),
    .library(name: "Records", targets: ["Records"]),
    .library(name: "Theory", targets: ["Theory"]),
    .library(name: "Torch", targets: ["Torch"]),
    .library(name: "Training", targets: ["Training"]),
  ] + productsForFuzzing,
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // Without libtorch.
    module("Problems"),
    module("SystemTools", ["Problems"]),
    module("Randomness"),
    module("Theory", ["Problems", "Randomness"]),
    module("Arrays", ["Problems", "SystemTools"]),
    module("Records", ["Arrays", "Problems", "SystemTools"]),
    module("TensorBoard", ["SystemTools"]),
    module("Datasets", ["Arrays", "Problems", "Randomness", "SystemTools"]),
    .target(
      name: "Experiment",
      dependencies: [
        "Arrays", "Datasets", "Problems", "Records", "SystemTools", .product(name: "Yams", package: "Yams"),
      ],
      resources: [.embedInCode("Presets")], swiftSettings: strict),
    module("Tasks", ["Datasets", "Experiment", "Problems", "Records"]),
    module(
      "Figures", ["Arrays", "Experiment", "Problems", "Randomness", "Records", "SystemTools", "Theory"]),
    .target(
      name: "Sweeps",
      dependencies: [
        "Arrays", "Experiment", "Problems", "Randomness", "Records", "SystemTools", "Tasks",
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: strict),
    .target(
      name: "Reproduction",
      dependencies: [
        "Arrays", "Datasets", "Experiment", "Figures", "Problems", "Randomness", "Records", "Sweeps",
        "Tasks", "Theory", .product(name: "Yams", package: "Yams"),
      ],
      resources: [.embedInCode("Presets")], swiftSettings: strict),
    module("Report", ["Experiment", "Figures", "Problems", "Records", "Reproduction"]),
    .executableTarget(
      name: "collapse",
      dependencies: [
        "Arrays", "Datasets", "Experiment", "Figures", "Problems", "Randomness", "Records", "Report",
        "Reproduction", "Sweeps", "SystemTools", "Tasks", "TensorBoard", "Theory",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // With libtorch.
    .target(
      name: "CMemory",
      cxxSettings: [.unsafeFlags(["-isystem", libtorch + "/include"])],
      linkerSettings: [.unsafeFlags(linkLibtorch), .linkedLibrary("c10")]),
    .target(
      name: "CTorch",
      // Declarations: of libraries within libtorch whose headers it comes without.
      exclude: ["Declarations"],
      cxxSettings: [
        .headerSearchPath("Declarations"),
        .unsafeFlags([
          "-isystem", libtorch + "/include", "-isystem", libtorch + "/include/torch/csrc/api/include",
        ]),
      ],
      linkerSettings: [
        .unsafeFlags(linkLibtorch), .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
      ]),
    // Optimised also in debug builds, which the tests run: they would be a hundred times slower.
    .target(name: "CKernels", cxxSettings: [.unsafeFlags(["-O3", "-fno-math-errno", "-Wno-psabi"])]),
    // NVIDIA's libraries are opened when they are there; nothing of theirs is needed to build.
    .target(name: "CCUDA"),
    module("Torch", ["Arrays", "CMemory", "CTorch", "Problems"]),
    .target(
      name: "CUDA", dependencies: ["Arrays", "CCUDA", "Problems", "SystemTools", "Torch"],
      resources: [.embedInCode("Kernels")], swiftSettings: strict),
    module("NN", ["CKernels", "CUDA", "Problems", "Torch"]),
    module("Models", ["NN", "Problems", "Torch"]),
    module(
      "Geometry", ["CKernels", "Problems", "Randomness", "Records", "Theory", "Torch"]),
    module(
      "Measuring",
      ["Arrays", "Geometry", "Problems", "Randomness", "Records", "Torch"]),
    module(
      "Training",
      [
        "Datasets", "Geometry", "Models", "NN", "Problems", "Randomness", "Records", "Torch",
      ]),
    module(
      "Runs",
      [
        "Arrays", "CUDA", "Datasets", "Experiment", "Geometry", "Models", "NN", "Problems", "Randomness",
        "Records", "SystemTools", "Tasks", "TensorBoard", "Theory", "Torch", "Training",
      ]),
    .executableTarget(
      name: "collapse-worker",
      dependencies: [
        "Experiment", "Measuring", "Problems", "Records", "Runs", "SystemTools", "Tasks", "Torch",
      ],
      swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Arrays", "Problems", "Randomness"], path: "Tests/TestSupport",
      swiftSettings: strict),
    // The CUDA kernels' own sources, run on the CPU.
    .target(name: "CUDATwins", path: "Tests/CUDATwins", cxxSettings: [.unsafeFlags(["-O2"])]),
    // NCCL between threads, on the CPU.
    .target(name: "NCCLTwin", path: "Tests/NCCLTwin"),
    .target(
      name: "EmulatedCUDA", dependencies: ["CUDA", "CUDATwins", "Torch"], path: "Tests/EmulatedCUDA",
      swiftSettings: strict),
    tests("ArraysTests", ["Arrays", "Problems", "SystemTools", "TestSupport"]),
    tests(
      "CommandTests",
      [
        "Arrays", "Datasets", "Experiment", "Problems", "Randomness", "Records", "Sweeps", "SystemTools",
        "Tasks",
        "TestSupport", "collapse", "collapse-worker",
      ]),
    tests(
      "DatasetsTests", ["Arrays", "Datasets", "Problems", "Randomness", "SystemTools", "TestSupport"]),
    tests(
      "FiguresTests",
      ["Arrays", "Experiment", "Figures", "Problems", "Randomness", "Records", "TestSupport", "Theory"]),
    tests(
      "GeometryTests",
      ["Arrays", "Figures", "Geometry", "Problems", "Randomness", "Records", "Theory", "Torch"],
      fixtures: true),
    tests(
      "ReproductionTests",
      ["Datasets", "Experiment", "Problems", "Records", "Reproduction", "Tasks", "TestSupport"]),
    tests(
      "ReportTests", ["Arrays", "Experiment", "Records", "Report", "Reproduction", "TestSupport"]),
    tests("ExperimentTests", ["Datasets", "Experiment", "Problems", "Records", "TestSupport"]),
    tests("RecordsTests", ["Records", "Problems", "TestSupport"]),
    tests(
      "CUDATests",
      ["CCUDA", "CUDA", "EmulatedCUDA", "NCCLTwin", "Problems", "TestSupport", "ThreadGroups", "Torch"]),
    .target(
      name: "ThreadGroups", dependencies: ["Problems", "Torch"], path: "Tests/ThreadGroups",
      swiftSettings: strict),
    tests("NNTests", ["CKernels", "CUDA", "EmulatedCUDA", "NN", "Problems", "Torch"], fixtures: true),
    tests("ModelsTests", ["Arrays", "Models", "NN", "Problems", "Torch"], fixtures: true),
    tests("RandomnessTests", ["Randomness"]),
    tests(
      "MeasuringTests",
      [
        "Arrays", "Geometry", "Measuring", "Problems", "Randomness", "Records", "TestSupport", "Theory",
        "Torch",
      ]),
    tests(
      "TrainingTests",
      [
        "Arrays", "Datasets", "EmulatedCUDA", "Geometry", "Models", "NN", "Problems", "Randomness", "Records",
        "TestSupport", "Theory", "ThreadGroups", "Torch", "Training",
      ],
      fixtures: true),
    tests(
      "RunsTests",
      [
        "Arrays", "Datasets", "Experiment", "Geometry", "Measuring", "Models", "NN", "Problems",
        "Randomness", "Records", "Runs", "SystemTools", "Tasks", "TestSupport", "Theory", "Torch",
        "Training",
      ]),
    tests(
      "SweepsTests",
      ["Experiment", "Problems", "Records", "Sweeps", "SystemTools", "Tasks", "TestSupport"]),
    tests("SystemToolsTests", ["Problems", "SystemTools", "TestSupport"]),
    tests("TensorBoardTests", ["TensorBoard", "TestSupport"]),
    tests("TheoryTests", ["Problems", "Theory", "Randomness"], fixtures: true),
    tests("TorchTests", ["Arrays", "Problems", "ThreadGroups", "Torch"], fixtures: true),
  ],
  cxxLanguageStandard: .cxx20
)
