import Foundation
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

  /// Told what is being done and how far it is, 0 to 1.
  public typealias Reporting = (_ action: String, _ fraction: Double) -> Void

  /// Where fetched files are kept: `COLLAPSE_CACHE`, or `collapse` in the user's cache directory.
  static var cache: String {
    let environment = ProcessInfo.processInfo.environment
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let own = value("COLLAPSE_CACHE") { return own }
    // HOME before Foundation's answer, which is the user database's.
    let base = value("XDG_CACHE_HOME") ?? (value("HOME") ?? NSHomeDirectory()) + "/.cache"
    return base + "/collapse"
  }

  /// The first directory that has the files: below `COLLAPSE_DATA`, Debian's package, the cache.
  ///
  /// - Throws: `DatasetError` if `COLLAPSE_DATA` names a directory that does not exist.
  public static func locate() throws -> String? {
    var candidates: [String] = []
    if let own = ProcessInfo.processInfo.environment["COLLAPSE_DATA"], !own.isEmpty {
      guard FileManager.default.fileExists(atPath: own) else {
        throw DatasetError(
          .missing, "COLLAPSE_DATA names \(own), which does not exist.",
          remedies: ["Set it to the directory with your data sets, or unset it to have them fetched."])
      }
      candidates += ["\(own)/fashion-mnist", own]
    }
    // A directory of one's own with a file missing is a mistake to point out; others are passed over.
    if let found = candidates.first(where: { IDXFiles(directory: $0).isPresent }) { return found }
    return ["/\(debianDirectory)", "\(cache)/fashion-mnist"].first { IDXFiles(directory: $0).isComplete }
  }

  /// Reads and verifies the data set, fetching it first where it is not at hand.
  ///
  /// - Throws: `DatasetError` if it cannot be had, or its files are not what they should be.
  public static func load(fetch: Bool = true, reporting: Reporting = { _, _ in }) throws -> ImageDataset {
    guard let directory = try locate() ?? (fetch ? self.fetch(reporting) : nil) else {
      throw DatasetError(
        .missing, "FashionMNIST is not on this machine.", remedies: ["collapse data fetch fashion-mnist"])
    }
    reporting("verifying \(directory)", 0)
    let dataset = try IDXFiles(directory: directory).load(
      name: "FashionMNIST", classNames: classNames, digests: digests)
    reporting("verified \(directory)", 1)
    return dataset
  }

  /// Brings the files to the cache: from Debian's archive where apt is configured, else from the
  /// official site. Gives their directory.
  static func fetch(_ reporting: Reporting) throws -> String {
    do {
      try FileManager.default.createDirectory(atPath: cache, withIntermediateDirectories: true)
    } catch {
      throw DatasetError(
        .missing, "the cache directory \(cache) cannot be made.",
        remedies: ["Set COLLAPSE_CACHE to a directory that you may write to."])
    }
    removeAbandonedDownloads()
    let staging =
      "\(cache)/fetching-\(ProcessInfo.processInfo.hostName)-\(ProcessInfo.processInfo.processIdentifier)"
    try? FileManager.default.createDirectory(atPath: staging, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: staging) }
    var problems: [String] = []
    for (source, attempt) in [("apt-get", fetchFromDebian), ("the official site", fetchFromOfficialSite)] {
      do {
        let directory = try attempt(staging, reporting)
        // Verified before it takes its place, so that the cache never holds half a data set.
        _ = try IDXFiles(directory: directory).load(
          name: "FashionMNIST", classNames: classNames, digests: digests)
        let place = "\(cache)/fashion-mnist"
        // Another process may have been faster, and may be reading it.
        if IDXFiles(directory: place).isComplete { return place }
        try? FileManager.default.removeItem(atPath: place)
        try FileManager.default.moveItem(atPath: directory, toPath: place)
        return place
      } catch {
        problems.append("from \(source): \(error)")
      }
    }
    throw DatasetError(
      .missing, "FashionMNIST could not be fetched: \(problems.joined(separator: "; ")).",
      remedies: [
        "On Debian or Ubuntu: sudo apt-get update && sudo apt-get install \(debianPackage)",
        "Or put the four IDX files into a directory and set COLLAPSE_DATA to it.",
      ])
  }

  /// Removes what fetches that were killed have left: on this computer, or a day ago.
  private static func removeAbandonedDownloads() {
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: cache)) ?? [] {
      let path = "\(cache)/\(entry)"
      let date = try? FileManager.default.attributesOfItem(atPath: path)[.modificationDate] as? Date
      let mine = "fetching-\(ProcessInfo.processInfo.hostName)-"
      let process = entry.hasPrefix(mine) ? Int32(entry.dropFirst(mine.count)) : nil
      let isDead = process.map { kill($0, 0) != 0 && errno == ESRCH } ?? false
      let isOld = date.map { $0.timeIntervalSinceNow < -86_400 } ?? false
      if entry.hasPrefix("fetching-"), isDead || isOld {
        try? FileManager.default.removeItem(atPath: path)
      }
    }
  }

  private static func fetchFromDebian(_ staging: String, _ reporting: Reporting) throws -> String {
    guard Tool.find("dpkg") != nil else { throw DatasetError(.missing, "dpkg is not installed") }
    reporting("fetching \(debianPackage) (30 MB) with apt-get", 0)
    func download(_ options: [String]) throws -> Tool.Output {
      try Tool.run("apt-get", ["download", "-q"] + options + [debianPackage], directory: staging) {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: staging)) ?? []
        let bytes = files.reduce(0) { $0 + Self.size("\(staging)/\($1)") }
        reporting("fetching \(debianPackage) with apt-get", min(1, Double(bytes) / 30e6))
      }
    }
    var downloaded = try download([])
    if downloaded.status != 0 {
      // A new machine has no lists of packages yet. Our own need no rights and leave its alone.
      let place = URL(fileURLWithPath: staging).path
      for name in ["lists/partial", "cache/archives/partial"] {
        try FileManager.default.createDirectory(
          atPath: "\(place)/\(name)", withIntermediateDirectories: true)
      }
      let own = ["-o", "Dir::State::lists=\(place)/lists", "-o", "Dir::Cache=\(place)/cache"]
      reporting("fetching the list of Debian's packages", 0)
      let update = ["update", "-q", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]
      if try Tool.run("apt-get", update + own).status == 0 { downloaded = try download(own) }
    }
    let files = (try? FileManager.default.contentsOfDirectory(atPath: staging)) ?? []
    guard downloaded.status == 0, let package = files.first(where: { $0.hasSuffix(".deb") }) else {
      // Its warnings come before its errors.
      let lines = downloaded.standardError.split(separator: "\n")
      let why = lines.first { $0.hasPrefix("E:") } ?? lines.last ?? "no package was downloaded"
      throw DatasetError(.missing, String(why))
    }
    let unpacking = try Tool.run("dpkg", ["-x", "\(staging)/\(package)", "\(staging)/unpacked"])
    guard unpacking.status == 0 else { throw DatasetError(.malformed, unpacking.standardError) }
    return "\(staging)/unpacked/\(debianDirectory)"
  }

  private static func fetchFromOfficialSite(_ staging: String, _ reporting: Reporting) throws -> String {
    let directory = "\(staging)/official"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (name, size) in downloads.sorted(by: { $0.key < $1.key }) {
      let target = "\(directory)/\(name).gz"
      let arguments = [
        "--fail", "--silent", "--show-error", "--location", "--retry", "2", "--connect-timeout", "10",
        "--output", target, "\(officialSite)/\(name).gz",
      ]
      let output = try Tool.run("curl", arguments) {
        reporting("fetching \(name)", min(1, Double(Self.size(target)) / Double(size)))
      }
      guard output.status == 0 else {
        // One line an attempt.
        throw DatasetError(
          .missing, String(output.standardError.split(separator: "\n").last ?? "curl failed"))
      }
    }
    return directory
  }

  private static func size(_ path: String) -> Int {
    ((try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int) ?? 0
  }
}
