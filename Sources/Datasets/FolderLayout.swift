import Arrays
import Foundation
import Problems

/// Where a directory of images has those that are trained on and those that are tested on, and what says their classes.
struct FolderLayout {
  /// One split.
  struct Part {
    /// Its image files.
    var sources: SourceFiles
    /// Names of classes by the paths of the files, where a list says them; nil: each directory is a class.
    var listed: [String: String]?
    /// Numbers of files that are passed over though they look like images, by their extension.
    var passedOver: [String: Int] = [:]
  }

  let training: Part
  let test: Part

  /// Names of the directories, in the order in which they are looked for; capitals make no difference.
  static let trainingNames = ["train", "training"]
  static let testNames = ["test", "val", "valid", "validation"]
  /// The list of Tiny ImageNet: a file, its class, and a box, in columns.
  private static let annotations = "val_annotations.txt"

  /// Looks through a directory.
  ///
  /// - Parameter keepsBroken: whether links that lead nowhere count as images, which cannot be decoded.
  /// - Throws: `Problem` if there is no `train` or no `test`, or a list of classes cannot be understood.
  init(_ directory: String, keepsBroken: Bool) throws {
    let entries = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter {
      isDirectory("\(directory)/\($0)")
    }
    func find(_ names: [String]) throws -> [String] {
      try names.compactMap { name in
        let found = entries.filter { $0.lowercased() == name }
        guard found.count < 2 || found.contains(name) else {
          throw Problem(
            .wrongLayout, directory,
            "\(directory) has \(found.sorted().joined(separator: " and ")), of which only one can be \(name)."
          )
        }
        return found.contains(name) ? name : found.first
      }
    }
    func missing(_ names: [String]) -> Problem {
      Problem(.wrongLayout, directory, "\(directory) has no directory \(names.joined(separator: " or ")).")
    }
    guard let training = try find(Self.trainingNames).first else { throw missing(["train"]) }
    // Tiny ImageNet's test images have no classes.
    let tests = try find(Self.testNames)
    let listed = tests.first {
      FileManager.default.fileExists(atPath: "\(directory)/\($0)/\(Self.annotations)")
    }
    guard let test = listed ?? tests.first else { throw missing(Array(Self.testNames.prefix(3))) }
    self.training = try Self.part(directory, training, keepsBroken)
    self.test = try Self.part(directory, test, keepsBroken)
  }

  private static func part(_ directory: String, _ name: String, _ keepsBroken: Bool) throws -> Part {
    let place = "\(directory)/\(name)"
    let all = try SourceFiles(below: place, keepsBroken: keepsBroken)
    var part = Part(sources: SourceFiles(directory: place, files: []))
    var images: [SourceFiles.File] = []
    for file in all.files {
      // By hand: a URL a file took a third of the time of a start.
      guard let dot = file.path.lastIndex(of: ".") else { continue }
      let ending = file.path[dot...].dropFirst().lowercased()
      if ImageFolder.extensions.contains(ending) {
        images.append(file)
      } else if passed.contains(ending) {
        part.passedOver[ending, default: 0] += 1
      }
    }
    part.sources = SourceFiles(directory: place, files: images)
    let lists = ["\(place)/\(annotations)", "\(place)/labels.csv", "\(directory)/\(name).csv"]
    guard let list = lists.first(where: { FileManager.default.fileExists(atPath: $0) }) else { return part }
    part.listed = try ClassList(list).classes(of: images.map(\.path))
    part.sources = SourceFiles(directory: place, files: images.filter { part.listed?[$0.path] != nil })
    return part
  }

  /// Endings of images that `ImageFolder` does not take.
  private static let passed: Set<String> = [
    "gif", "jfif", "jpe", "jp2", "heic", "heif", "avif", "svg", "npy",
  ]

  /// What to say of files that are passed over.
  var notes: [String] {
    [training, test].compactMap { part in
      guard !part.passedOver.isEmpty else { return nil }
      let list = part.passedOver.sorted { $0.key < $1.key }.map { "\($0.value) .\($0.key)" }
      return "passed over in \(part.sources.directory): \(list.joined(separator: ", ")); taken are "
        + ImageFolder.extensions.sorted().joined(separator: ", ") + ", as torchvision's ImageFolder has it"
    }
  }
}

/// A list of files and their classes: columns between commas or tabs, with or without a line of names.
private struct ClassList {
  let path: String
  /// Class by file name, as the list has it.
  private var named: [String: String] = [:]

  init(_ path: String) throws {
    self.path = path
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw Problem(.unreadableData, path, "\(path) cannot be read as text.")
    }
    var places = (file: 0, label: 1)
    for (number, line) in text.split(whereSeparator: \.isNewline).enumerated() {
      let cells = line.split(separator: line.contains("\t") ? "\t" : ",", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " \"\u{feff}")) }
      if number == 0, let header = Self.header(cells) {
        places = header
        continue
      }
      guard cells.count > max(places.file, places.label) else {
        throw Problem(
          .malformedData, path,
          "\(path):\(number + 1) has \(cells.count) columns; a file and its class are needed.")
      }
      let name = cells[places.file]
      guard named.updateValue(cells[places.label], forKey: name) == nil else {
        throw Problem(.malformedData, path, "\(path):\(number + 1) names \(name) a second time.")
      }
    }
  }

  /// Columns by their names; nil where the first line is none of names.
  private static func header(_ cells: [String]) -> (file: Int, label: Int)? {
    let names = cells.map { $0.lowercased() }
    let files = ["file", "filename", "file_name", "image", "image_id", "path", "id", "name"]
    let labels = ["label", "class", "category", "target", "label_name", "class_name"]
    guard let file = names.firstIndex(where: files.contains),
      let label = names.firstIndex(where: labels.contains)
    else { return nil }
    return (file, label)
  }

  /// The class of each file, by path, by name, or by name without its ending.
  ///
  /// - Throws: `Problem` for files that are listed and not there, and for one that could be two.
  func classes(of paths: [String]) throws -> [String: String] {
    var classes: [String: String] = [:]
    var used: Set<String> = []
    for path in paths {
      let name = path.split(separator: "/").last.map(String.init) ?? path
      let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
      guard let key = [path, name, stem].first(where: { named[$0] != nil }) else { continue }
      guard used.insert(key).inserted else {
        throw Problem(.malformedData, self.path, "\(self.path): \(key) is the name of two files.")
      }
      classes[path] = named[key]
    }
    guard used.count == named.count else {
      let missing = named.keys.filter { !used.contains($0) }.sorted()
      throw Problem(
        .malformedData, self.path,
        "\(self.path) names \(missing.count) files that are not there: \(missing.prefix(3).joined(separator: ", "))."
      )
    }
    return classes
  }
}

/// Whether there is a directory at a path.
func isDirectory(_ path: String) -> Bool {
  var isDirectory: ObjCBool = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
}
