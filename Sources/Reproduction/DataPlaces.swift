import Foundation
import Problems

/// Where data sets lie, if not where `collapse data` finds them.
struct DataPlaces: Sendable {
  private var places: [String: [String]] = [:]

  /// Looks for data sets below a directory: images in class folders in `NAME` or `NAME-jpeg`, or the
  /// official files in `NAME` or below.
  ///
  /// - Throws: `Problem` if there is no such directory.
  init(_ directory: String?) throws {
    guard let directory else { return }
    func isDirectory(_ path: String) -> Bool {
      var isDirectory: ObjCBool = false
      return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
    }
    guard isDirectory(directory) else {
      throw Problem(.missingDataPlace, directory, "\(directory) is not a directory.")
    }
    let root = URL(fileURLWithPath: directory).standardizedFileURL.path
    for name in ["cifar10", "cifar100"] {
      let folders = ["\(root)/\(name)", "\(root)/\(name)-jpeg", "\(root)/\(name)-png"]
      if let folder = folders.first(where: { isDirectory($0 + "/train") && isDirectory($0 + "/test") }) {
        places[name] = ["data.dataset=folder", "data.path=\(folder)"]
        continue
      }
      let official = [name, "\(name)-head", name == "cifar10" ? "cifar-10-batches-bin" : "cifar-100-binary"]
      if let place = official.map({ "\(root)/\($0)" }).first(where: isDirectory) {
        places[name] = ["data.path=\(place)"]
      }
    }
    guard !places.isEmpty else {
      throw Problem(
        .missingDataPlace, directory, "\(directory) holds neither cifar10 nor cifar100.",
        choices: [
          "Looked for: cifar10, cifar10-jpeg or cifar10-png with train and test in it, cifar10 or",
          "cifar-10-batches-bin with the official files; and the same of cifar100.",
        ])
    }
  }

  /// Settings for a data set.
  func settings(_ dataset: String) -> [String] { places[dataset] ?? [] }
}
