import Foundation
import Problems
import SystemTools

/// FashionMNIST (Xiao, Rasul & Vollgraf, 2017): 70,000 grey images of clothing, 28×28, ten classes.
public enum FashionMNIST {
  /// What the classes are called.
  public static let classNames = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
  ]
  /// SHA-256 of the uncompressed files.
  static let digests = [
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
  ]
  /// Sizes of the gzipped files of the official download, in bytes.
  static let downloads = [
    "train-images-idx3-ubyte": 26_421_880, "train-labels-idx1-ubyte": 29_515,
    "t10k-images-idx3-ubyte": 4_422_102, "t10k-labels-idx1-ubyte": 5_148,
  ]
  static let officialSite = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
  static let debianPackage = "dataset-fashion-mnist"
  static let debianDirectory = "usr/share/datasets/fashion-mnist"

  /// The first directory that has the files: below `COLLAPSE_DATA`, Debian's package, the cache.
  ///
  /// - Throws: `Problem` if `COLLAPSE_DATA` names a directory that does not exist.
  public static func locate() throws -> String? {
    var candidates: [String] = []
    if let own = DataCache.own {
      guard FileManager.default.fileExists(atPath: own) else {
        throw Problem(.missingDataDirectory, own, "COLLAPSE_DATA names \(own), which does not exist.")
      }
      candidates += ["\(own)/fashion-mnist", "\(own)/FashionMNIST/raw", own]
    }
    // A directory of one's own with a file missing is a mistake to point out; others are passed over.
    if let found = candidates.first(where: { IDXFiles(directory: $0).isPresent }) { return found }
    return ["/\(debianDirectory)", "\(DataCache.path)/fashion-mnist"].first {
      IDXFiles(directory: $0).isComplete
    }
  }

  /// Reads the data set, fetching it first where it is not at hand; verified once, then from its pack.
  ///
  /// - Parameters:
  ///   - fetch: whether to bring it here if it is not.
  ///   - verify: whether to verify the files again.
  ///   - reporting: told of downloads and checks.
  /// - Throws: `Problem` if it cannot be had, or its files are not what they should be.
  public static func load(
    fetch: Bool = true, verify: Bool = false, reporting: DataReporting = { _, _ in }
  ) throws -> ImageDataset {
    guard let directory = try locate() ?? (fetch ? self.fetch(reporting) : nil) else {
      throw Problem(.missingData, "fashion-mnist", "FashionMNIST is not on this machine.")
    }
    let sources = SourceFiles(IDXFiles.all.flatMap { [$0, $0 + ".gz"] }, in: directory)
    return try PackedImages("fashion-mnist", of: sources).dataset(fresh: verify, reporting: reporting) {
      reporting("verifying \(directory)", 0)
      let dataset = try IDXFiles(directory: directory).load(
        name: "FashionMNIST", classNames: classNames, digests: digests)
      reporting("verified \(directory)", 1)
      return dataset
    }
  }

  /// Brings the files to the cache: from Debian's archive where apt is configured, else from the
  /// official site. Gives their directory.
  static func fetch(_ reporting: DataReporting) throws -> String {
    try DataCache.withStaging { staging in try fetch(staging, reporting) }
  }

  private static func fetch(_ staging: String, _ reporting: DataReporting) throws -> String {
    var problems: [String] = []
    for (source, attempt) in [("apt-get", fetchFromDebian), ("the official site", fetchFromOfficialSite)] {
      do {
        let directory = try attempt(staging, reporting)
        // Verified before it takes its place, so that the cache never holds half a data set.
        _ = try IDXFiles(directory: directory).load(
          name: "FashionMNIST", classNames: classNames, digests: digests)
        let place = "\(DataCache.path)/fashion-mnist"
        // Another process may have been faster, and may be reading it.
        if IDXFiles(directory: place).isComplete { return place }
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.moveItem(atPath: directory, toPath: place)
        return place
      } catch {
        problems.append("from \(source): \(error)")
      }
    }
    throw Problem(
      .unfetchedData, "fashion-mnist",
      "FashionMNIST could not be fetched: \(problems.joined(separator: "; ")).")
  }

  private static func fetchFromDebian(_ staging: String, _ reporting: DataReporting) throws -> String {
    let files = try DebianPackage(name: debianPackage, megabytes: 30).unpack(into: staging, reporting)
    return "\(files)/\(debianDirectory)"
  }

  private static func fetchFromOfficialSite(_ staging: String, _ reporting: DataReporting) throws -> String {
    let directory = "\(staging)/official"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (name, size) in downloads.sorted(by: { $0.key < $1.key }) {
      // What is in it is verified afterwards.
      let download = Download(url: "\(officialSite)/\(name).gz", bytes: size, digest: nil)
      try download.fetch(to: "\(directory)/\(name).gz", reporting: reporting)
    }
    return directory
  }
}

extension FashionMNIST {
  /// As a member of the list.
  public static let descriptor = DatasetDescriptor(
    name: "fashion-mnist", title: "FashionMNIST",
    facts: .init(
      shape: ImageShape(height: 28, width: 28, channels: 1), classes: 10, trainingImages: 60_000,
      testImages: 10_000), isFetchable: true, path: .refused, isVerifiedByChecksum: true, locate: locate
  ) { request, reporting in
    try load(fetch: request.fetch, verify: request.verify, reporting: reporting)
  }
}
