import Datasets
import Foundation
import Problems

/// Where data sets lie, if not where `collapse data` finds them.
struct DataPlaces: Sendable {
  private var places: [String: [String]] = [:]

  /// Looks for data sets below a directory: images in class folders in `NAME`, `NAME-jpeg` or `NAME-png`, or
  /// the official files in `NAME`, `NAME-head` or a directory of the official archives.
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
    let sets = DatasetCatalogue.all.filter { $0.path == .optional }
    for set in sets {
      let folders = set.folderNames.map { "\(root)/\($0)" }
      if let folder = folders.first(where: { isDirectory($0 + "/train") && isDirectory($0 + "/test") }) {
        places[set.name] = ["data.dataset=folder", "data.path=\(folder)"]
      } else if let place = set.officialNames.map({ "\(root)/\($0)" }).first(where: isDirectory) {
        places[set.name] = ["data.path=\(place)"]
      }
    }
    guard !places.isEmpty else {
      throw Problem(
        .missingDataPlace, directory,
        "\(directory) holds neither \(sets.map(\.name).joined(separator: " nor ")).",
        choices: sets.flatMap { set in
          [
            "Looked for \(set.title) in: \(set.folderNames.joined(separator: ", ")) with train and test in it,",
            "or with the official files: \(set.officialNames.joined(separator: ", ")).",
          ]
        })
    }
  }

  /// Settings for a data set.
  func settings(_ dataset: String) -> [String] { places[dataset] ?? [] }
}

extension DatasetDescriptor {
  /// Directories with its images in class folders, in the order in which they are looked for.
  fileprivate var folderNames: [String] { [name, "\(name)-jpeg", "\(name)-png"] }

  /// Directories with its official files, in the order in which they are looked for.
  fileprivate var officialNames: [String] { [name, "\(name)-head"] + directoryNames }
}
