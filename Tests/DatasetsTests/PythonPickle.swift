import Datasets

/// Pickles of Python's, put together opcode by opcode.
struct PythonPickle {
  /// Who wrote it.
  enum Writer: String, CaseIterable {
    /// Python 2, whose strings are bytes: protocol 2, as the official files are.
    case two
    /// Python 3 in protocol 3, with NumPy 2.
    case three
    /// Python 3 in protocol 2, which has no bytes and asks for `_codecs.encode`.
    case threeAsTwo
  }

  let writer: Writer
  private(set) var bytes: [UInt8]

  init(_ writer: Writer = .two) {
    self.writer = writer
    bytes = [0x80, writer == .three ? 3 : 2]
  }

  /// The whole file.
  var file: [UInt8] { bytes + Array(".".utf8) }

  mutating func code(_ text: String) { bytes += Array(text.utf8) }

  /// An opcode that is no letter.
  mutating func code(_ byte: UInt8) { bytes.append(byte) }

  private mutating func length(_ count: Int) { bytes += (0..<4).map { UInt8(count >> (8 * $0) & 0xff) } }

  /// A function or class, by its names.
  mutating func global(_ module: String, _ name: String) { code("c\(module)\n\(name)\n") }

  /// What Python 2 has as a string and Python 3 as text.
  mutating func string(_ text: String) {
    code(writer == .two ? "U" : "X")
    if writer == .two { bytes.append(UInt8(text.utf8.count)) } else { length(text.utf8.count) }
    code(text)
  }

  mutating func integer(_ value: Int) {
    code("J")
    length(value)
  }

  /// `content` as bytes.
  mutating func data(_ content: [UInt8]) {
    switch writer {
    case .two:
      code("T")
      length(content.count)
      bytes += content
    case .three:
      code("B")
      length(content.count)
      bytes += content
    case .threeAsTwo:
      let text = String(String.UnicodeScalarView(content.map { Unicode.Scalar($0) }))
      global("_codecs", "encode")
      string(text)
      string("latin1")
      code(0x86)
      code("R")
    }
  }

  mutating func list(_ elements: (inout PythonPickle) -> Void) {
    code("](")
    elements(&self)
    code("e")
  }

  /// A NumPy array, as it asks to be made again.
  mutating func array(_ content: [UInt8], shape: [Int], type: String = "u1", isByColumns: Bool = false) {
    global(writer == .three ? "numpy._core.multiarray" : "numpy.core.multiarray", "_reconstruct")
    global("numpy", "ndarray")
    integer(0)
    code(0x85)
    writer == .two ? string("b") : data([0x62])
    code(0x87)
    code("R(")
    integer(1)
    code("(")
    for size in shape { integer(size) }
    code("t")
    global("numpy", "dtype")
    string(type)
    integer(0)
    integer(1)
    code(0x87)
    code("R(")
    integer(3)
    string("|")
    code("NNN")
    integer(-1)
    integer(-1)
    integer(0)
    code("tb")
    code(isByColumns ? 0x88 : 0x89)
    data(content)
    code("tb")
  }

  /// A file of images: a dictionary of labels, an array and what else the official ones have.
  static func images(
    _ kind: CIFAR, _ labels: [Int], _ planes: [UInt8], writer: Writer = .two, shape: [Int]? = nil,
    type: String = "u1", isByColumns: Bool = false
  ) -> [UInt8] {
    var pickle = PythonPickle(writer)
    pickle.code("}(")
    pickle.string("batch_label")
    pickle.string("training batch 1 of 5")
    pickle.string(kind == .ten ? "labels" : "fine_labels")
    pickle.list { for label in labels { $0.integer(label) } }
    pickle.string("data")
    pickle.array(planes, shape: shape ?? [labels.count, 3072], type: type, isByColumns: isByColumns)
    pickle.string("filenames")
    pickle.list { for label in labels { $0.string("image_\(label).png") } }
    pickle.code("u")
    return pickle.file
  }

  /// The file with the names of the classes.
  static func names(_ kind: CIFAR, _ names: [String], writer: Writer = .two) -> [UInt8] {
    var pickle = PythonPickle(writer)
    pickle.code("}(")
    pickle.string("num_vis")
    pickle.integer(3072)
    pickle.string(kind == .ten ? "label_names" : "fine_label_names")
    pickle.list { for name in names { $0.string(name) } }
    pickle.code("u")
    return pickle.file
  }

  /// `function(argument)` in the place of everything.
  static func call(_ module: String, _ name: String, _ argument: String) -> [UInt8] {
    var pickle = PythonPickle()
    pickle.global(module, name)
    pickle.string(argument)
    pickle.code(0x85)
    pickle.code("R")
    return pickle.file
  }
}
