import Foundation
import Problems
import SystemTools

/// A package of Debian's archive, from which files are taken without installing it.
struct DebianPackage {
  let name: String
  /// Its size, for progress.
  let megabytes: Double

  /// Downloads and unpacks the package; gives the directory of its files.
  ///
  /// - Throws: `Problem` with apt's own reason.
  func unpack(into staging: String, _ reporting: DataReporting) throws -> String {
    guard Tool.find("dpkg") != nil else { throw Problem(.toolFailed, "dpkg", "dpkg is not installed") }
    reporting("fetching \(name) (\(Int(megabytes)) MB) with apt-get", 0)
    func download(_ options: [String]) throws -> Tool.Output {
      try Tool.run("apt-get", ["download", "-q"] + options + [name], directory: staging) {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: staging)) ?? []
        let bytes = files.reduce(0) { $0 + DataCache.size("\(staging)/\($1)") }
        reporting("fetching \(name) with apt-get", min(1, Double(bytes) / (1e6 * megabytes)))
        return true
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
      throw Problem(.unfetchedData, name, String(why))
    }
    let unpacking = try Tool.run("dpkg", ["-x", "\(staging)/\(package)", "\(staging)/unpacked"])
    guard unpacking.status == 0 else { throw Problem(.malformedData, name, unpacking.standardError) }
    return "\(staging)/unpacked"
  }
}
