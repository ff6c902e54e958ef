import Arrays
import Foundation
import Geometry
import Problems
import Records
import Torch

/// The arrays that a measurement takes, from one file or several, read batch by batch.
struct ActivationFile {
  let path: String
  private let file: ArrayFile
  private let sources: [String: String]
  /// Arrays that are not to be used.
  private let left: Set<String>
  /// Names of layers of which there are features, in order.
  let layers: [String]

  /// Bytes of a batch in `float64`.
  private let batchBytes: Int
  private let opened = Opened()

  /// What was looked up: archives are listed and members unpacked once.
  private final class Opened {
    var files: [String: ArrayFile] = [:]
    var arrays: [String: StoredArray] = [:]
    var notes: [String] = []
  }

  /// What was done to arrays to measure them.
  var notes: [String] { opened.notes }

  /// Opens the file of a request.
  ///
  /// - Throws: `Problem` for an array name that is not known, or a file that cannot be read.
  init(_ request: MeasureRequest) throws {
    path = request.file
    file = try ArrayFile(path: path)
    sources = request.sources
    left = Set(request.left)
    batchBytes = request.batchBytes
    for name in request.left.sorted() where !Self.known.contains(name) { throw Self.unknown(name) }
    for name in sources.keys.sorted() where !Self.known.contains(name) && !Self.isOfLayer(name) {
      throw Self.unknown(name)
    }
    let prefix = ActivationArray.features.name(ofLayer: "")
    layers = Set(file.names + sources.keys).filter { $0.hasPrefix(prefix) && $0.count > prefix.count }
      .map { String($0.dropFirst(prefix.count)) }
      .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
  }

  private static let known = ActivationArray.measured.map(\.rawValue)

  /// Whether a name is that of an array of a layer.
  private static func isOfLayer(_ name: String) -> Bool {
    [ActivationArray.features, .classifier, .bias].map { $0.name(ofLayer: "") }
      .contains { name.hasPrefix($0) && name.count > $0.count }
  }

  private static func unknown(_ name: String) -> Problem {
    Problem(
      .unknownName, name,
      "there is no array \"\(name)\" to measure." + suggestion(for: name, among: known), choices: known)
  }

  /// Whether its contents were compared with a seal in it.
  var isSealed: Bool { file.isSealed }

  /// The files that were opened, for messages that name one.
  var paths: Set<String> { Set(opened.files.keys).union([path]) }

  /// An array of the network's last features, or of a layer's; nil if there is none of its name.
  func array(_ array: ActivationArray, ofLayer layer: String? = nil) throws -> StoredArray? {
    let name = Self.name(array, layer)
    if left.contains(name) { return nil }
    if let known = opened.arrays[name] { return known }
    let found: StoredArray?
    if let source = sources[name] {
      found = try stored(name, from: source)
    } else if file.names == [""] {
      found = name == ActivationArray.features.rawValue ? try file.array("") : nil
    } else {
      found = file.names.contains(name) ? try file.array(name) : nil
    }
    guard let found else { return nil }
    let (fitted, note) = try ArrayForms(batchBytes: batchBytes).fitted(found, array)
    opened.arrays[name] = fitted
    if let note { opened.notes.append(note) }
    return fitted
  }

  /// Whether there is nothing but what the network predicts.
  func hasPredictionsAlone() throws -> Bool {
    guard try layers.isEmpty && array(.features) == nil else { return false }
    return try array(.logits) != nil || array(.probabilities) != nil
  }

  private static func name(_ array: ActivationArray, _ layer: String?) -> String {
    layer.map(array.name) ?? array.rawValue
  }

  /// An array that the user says where to find.
  private func stored(_ name: String, from source: String) throws -> StoredArray {
    func opened(_ path: String) throws -> ArrayFile? {
      if let known = self.opened.files[path] { return known }
      var isDirectory: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue
      else {
        return nil
      }
      let file = try ArrayFile(path: path)
      self.opened.files[path] = file
      return file
    }
    if let other = try opened(source) {
      return try other.array(other.names.count == 1 ? other.names[0] : name)
    }
    if file.names.contains(source) { return try file.array(source) }
    if let colon = source.lastIndex(of: ":"), let other = try opened(String(source[..<colon])) {
      return try other.array(String(source[source.index(after: colon)...]))
    }
    throw Problem(
      .missingArraySource, "\(name)=\(source)", "\(source) is neither a file nor an array in \(path).",
      choices: file.names.filter { !$0.isEmpty })
  }

  /// An array that must be there.
  func required(_ array: ActivationArray, ofLayer layer: String? = nil) throws -> StoredArray {
    if let found = try self.array(array, ofLayer: layer) { return found }
    let name = Self.name(array, layer)
    let known = file.names.filter { !$0.isEmpty }
    throw Problem(
      .missingArray, name,
      "\(path) holds no array named \(name)."
        + (known.isEmpty ? "" : " It holds \(known.prefix(12).joined(separator: ", "))."))
  }

  /// Rows of floating-point numbers, n×width.
  ///
  /// - Throws: `Problem` for another rank or type.
  static func rows(_ array: StoredArray) throws -> StoredArray {
    guard array.shape.count == 2 else {
      throw array.unfit("has shape \(array.shape); rows of numbers are needed, one a sample")
    }
    guard array.type.isFloatingPoint else {
      throw array.unfit("is \(array.type); floating-point numbers are needed")
    }
    guard array.rowWidth > 0, array.count > 0 else { throw array.unfit("has no numbers in it") }
    return array
  }

  /// Classes of samples.
  ///
  /// - Throws: `Problem` for another shape or for what is no whole number.
  func labels(_ name: ActivationArray) throws -> [Int]? {
    guard let array = try array(name) else { return nil }
    if let classes = try array.oneHotClasses() { return classes }
    guard array.shape.count == 1 || (array.shape.count == 2 && array.shape[1] == 1) else {
      throw array.unfit("has shape \(array.shape); one number a sample is needed")
    }
    return try array.integers()
  }

  /// The classes that a capture of only some of them is of, as the file has them: places in the classifier's
  /// rows. Nil for a file of all classes, one that says nothing that can be understood of it, and one that has
  /// more than such a capture: layers, or test samples.
  ///
  /// - Parameter all: classes of the classifier; nil where there is none.
  func chosenClasses(of all: Int?) throws -> [Int]? {
    // Files of others may have something else under this name, such as the names of the classes.
    guard let all, layers.isEmpty, try array(.testLabels) == nil, let array = try? array(.classes),
      array.shape.count == 1, array.count >= 2, array.count < all, !array.type.isFloatingPoint,
      let classes = try? array.integers()
    else { return nil }
    let seen = try Set((labels(.labels) ?? []) + (labels(.partnerLabels) ?? []))
    guard Set(classes).count == classes.count, classes.allSatisfy({ (0..<all).contains($0) }),
      seen.isSubset(of: classes)
    else { return nil }
    return classes
  }

  /// Some rows of an array as a tensor.
  static func tensor(_ array: StoredArray, _ range: Range<Int>) throws -> Tensor {
    guard let type = DType(array.type) else {
      throw array.unfit("is \(array.type); floating-point numbers are needed")
    }
    let tensor = Tensor.uninitialized([range.count] + array.shape.dropFirst(), dtype: type)
    let bytes = try UnsafeMutableRawBufferPointer(
      start: tensor.unsafeAddress(), count: range.count * array.rowWidth * array.type.size)
    try withExtendedLifetime(tensor) { try array.read(range, into: bytes) }
    return tensor
  }

  /// A small array as a tensor: a classifier or a bias.
  func tensor(_ array: ActivationArray, ofLayer layer: String? = nil, shape: [Int]) throws -> Tensor? {
    guard let array = try self.array(array, ofLayer: layer) else { return nil }
    guard array.shape == shape else {
      throw array.unfit(
        "has shape \(array.shape); \(shape) is needed for the features and classes there are")
    }
    guard array.type.isFloatingPoint else {
      throw array.unfit("is \(array.type); floating-point numbers are needed")
    }
    return try Self.tensor(array, 0..<array.count)
  }

  /// Rows with their classes in batches: all of them, or those at given places.
  ///
  /// - Parameters:
  ///   - places: ascending; nil for all.
  ///   - classes: C, of which each row has two numbers or so while it is measured.
  func batches(_ array: StoredArray, labels: [Int], places: [Int]? = nil, classes: Int) throws
    -> LabelledBatches
  {
    let array = try Self.rows(array)
    guard array.count == labels.count else {
      throw array.unfit("has \(array.count) rows, but there are \(labels.count) labels")
    }
    let batch = max(1, min(16_384, batchBytes / 8 / max(array.rowWidth, 2 * classes)))
    return LabelledBatches(count: places?.count ?? labels.count, width: array.rowWidth) { body in
      var next = 0
      for start in stride(from: 0, to: array.count, by: batch) {
        let range = start..<min(start + batch, array.count)
        let rows = try Self.tensor(array, range)
        do {
          guard let places else {
            try body(rows, Array(labels[range]))
            continue
          }
          let first = next
          while next < places.count, places[next] < range.upperBound { next += 1 }
          guard first < next else { continue }
          let chosen = places[first..<next]
          try body(rows.indexSelected(Tensor(chosen.map { $0 - start })), chosen.map { labels[$0] })
        } catch {
          // Who measures knows neither the array nor its rows by number.
          let name = array.name.isEmpty ? ActivationArray.features.rawValue : array.name
          // −∞ may be what is wrong, but in logits it is not.
          try rows.withoutExcludedClasses().checkFinite(name, firstRow: start)
          try rows.checkFinite(name, firstRow: start)
          throw error
        }
      }
    }
  }

  /// Calls `body` with batches of rows, and the rows of a second array that belong to the same samples.
  static func forEach(
    _ batches: LabelledBatches, _ second: StoredArray, places: [Int]? = nil,
    _ body: (_ rows: Tensor, _ others: Tensor, _ labels: [Int]) throws -> Void
  ) throws {
    var start = 0
    try batches.forEach { rows, labels in
      let range = start..<start + labels.count
      start = range.upperBound
      guard let places else { return try body(rows, tensor(second, range), labels) }
      let chosen = Array(places[range])
      let span = chosen[0]..<chosen[chosen.count - 1] + 1
      let others = try tensor(second, span).indexSelected(Tensor(chosen.map { $0 - span.lowerBound }))
      try body(rows, others, labels)
    }
  }
}

extension StoredArray {
  /// That an array is not what a measurement needs.
  func unfit(_ reason: String) -> Problem {
    var problem = failure(reason)
    problem.code = .unfitArrays
    return problem
  }
}
