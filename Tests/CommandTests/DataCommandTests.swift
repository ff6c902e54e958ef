import Foundation
import TestSupport
import Testing

/// Where data sets are looked for, and what happens when they can't be fetched.
@Suite struct DataCommandTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  func makeDirectory(_ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: directory.file(name), withIntermediateDirectories: true)
    return directory.file(name)
  }

  static let names = ["train-images", "train-labels", "t10k-images", "t10k-labels"].map {
    "\($0)-idx\($0.hasSuffix("images") ? 3 : 1)-ubyte"
  }

  /// The directory that `data list` gives in an environment.
  func found(_ environment: [String: String]) throws -> String? {
    let result = try ProgramRunner.run(
      ["data", "list", "--json"], in: directory.path, environment: environment)
    #expect(result.status == 0, "\(result.errors)")
    return result.json?["fashion-mnist"] as? String
  }

  @Test func placesInOrder() throws {
    let cache = try makeDirectory("cache/fashion-mnist")
    let own = try makeDirectory("own")
    let environment = ["COLLAPSE_CACHE": directory.file("cache"), "COLLAPSE_DATA": own]
    let debian = "/usr/share/datasets/fashion-mnist"
    let isInstalled = FileManager.default.fileExists(atPath: debian)
    #expect(try found(environment) == (isInstalled ? debian : nil))
    // Half a data set in the cache does not count.
    for name in Self.names.dropLast() { try directory.write([], to: "cache/fashion-mnist/\(name).gz") }
    #expect(try found(environment) == (isInstalled ? debian : nil))
    try directory.write([], to: "cache/fashion-mnist/\(Self.names.last!)")
    #expect(try found(environment) == (isInstalled ? debian : cache))
    // One's own goes before all others, and what is missing there is said.
    try directory.write([], to: "own/\(Self.names[0])")
    #expect(try found(environment) == own)
    _ = try makeDirectory("own/fashion-mnist")
    try directory.write([], to: "own/fashion-mnist/\(Self.names[0])")
    #expect(try found(environment) == own + "/fashion-mnist")
    try ProgramRunner.run(["data", "verify"], in: directory.path, environment: environment)
      .expectFailure(66, ["own/fashion-mnist has no file train-labels-idx1-ubyte"])
  }

  /// Programs of these names that do as the scripts say, before the real ones.
  func fakes(_ scripts: [String: String]) throws -> [String: String] {
    let bin = try makeDirectory("bin")
    for (name, script) in scripts {
      let path = try directory.write(Array("#!/bin/sh\n\(script)\n".utf8), to: "bin/\(name)")
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }
    return [
      "PATH": bin + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"),
      "COLLAPSE_CACHE": directory.file("cache"),
    ]
  }

  static let isInstalled = FileManager.default.fileExists(atPath: "/usr/share/datasets/fashion-mnist")

  /// The archive has a package with something else in it, the official site can't be reached: both
  /// are said, and the cache holds nothing that a later run might take for the data.
  @Test(.disabled(if: isInstalled)) func whatCannotBeFetched() throws {
    try SyntheticImages.write(train: 9, test: 6, to: directory)
    let environment = try fakes([
      "apt-get": "touch dataset-fashion-mnist_1_all.deb",
      "dpkg":
        "mkdir -p \"$3/usr/share/datasets/fashion-mnist\" && cp \(directory.path)/*-ubyte \"$3/usr/share/datasets/fashion-mnist\"",
      "curl": "echo 'curl: (6) Could not resolve host' >&2; exit 6",
    ])
    let result = try ProgramRunner.run(["data", "fetch"], in: directory.path, environment: environment)
    result.expectFailure(
      66,
      [
        "could not be fetched", "from apt-get: ", "SHA-256",
        "from the official site: curl: (6) Could not resolve host",
        "apt-get install dataset-fashion-mnist", "COLLAPSE_DATA",
      ])
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.file("cache")) == [])
  }

  @Test(.disabled(if: isInstalled)) func aCacheThatCannotBeMade() throws {
    try directory.write([], to: "cache")
    let environment = ["COLLAPSE_CACHE": directory.file("cache") + "/below"]
    try ProgramRunner.run(["data", "fetch"], in: directory.path, environment: environment)
      .expectFailure(66, ["cache/below cannot be made", "Set COLLAPSE_CACHE"])
  }
}
