import Foundation
import Problems
import SystemTools

/// The Python version, as PyTorch users have it: a file is a pickle of a dictionary with an array of N×3,072
/// bytes, channel after channel, and a list of labels.
///
/// A pickle is a program. Python's own reader runs it, isolated and without NumPy, and refuses every name but
/// those that arrays need.
struct CIFARPython: CIFARForm {
  private let kind: CIFAR

  init(_ kind: CIFAR) { self.kind = kind }

  var trainingFiles: [(name: String, records: Int)] {
    kind == .ten ? (1...5).map { ("data_batch_\($0)", 10_000) } : [("train", 50_000)]
  }
  var testFile: (name: String, records: Int) { (kind == .ten ? "test_batch" : "test", 10_000) }
  var nameFile: String { kind == .ten ? "batches.meta" : "meta" }
  var directoryName: String { kind == .ten ? "cifar-10-batches-py" : "cifar-100-python" }
  var archiveName: String { kind == .ten ? "cifar-10-python.tar.gz" : "cifar-100-python.tar.gz" }
  var recordNote: String { "" }

  func classNames(in directory: String) throws -> [String] {
    let path = "\(directory)/\(nameFile)"
    let output = try read(path, "names", key: kind == .ten ? "label_names" : "fine_label_names")
    guard let names = try? JSONDecoder().decode([String].self, from: output) else {
      throw Problem(.malformedData, path, "\(path) has names of classes that are no text.")
    }
    return names
  }

  func records(in path: String) throws -> (labels: [Int], pixels: Data) {
    // A label is eight bytes.
    let output = try read(path, "images", key: kind == .ten ? "labels" : "fine_labels")
    let (count, rest) = output.count.quotientAndRemainder(dividingBy: 8 + CIFAR.shape.bytes)
    guard rest == 0 else {
      throw Problem(.internalError, path, "\(path): Python gave \(output.count) bytes, no whole records.")
    }
    let labels = output.withUnsafeBytes { bytes in
      (0..<count).map {
        Int(Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)))
      }
    }
    return (labels, output.dropFirst(8 * count))
  }

  /// A list of the pickle's, and for images the bytes of its array after it.
  private func read(_ path: String, _ what: String, key: String) throws -> Data {
    let output: Tool.Output
    do {
      let python = try Python.find(for: "read pickles with")
      output = try Python.run(python, Self.script, [path, what, key, "\(CIFAR.shape.bytes)"])
    } catch let error as ToolError {
      // An empty subject: Python itself, without any package.
      throw Problem(.noPythonPackage, "", "\(path): \(error).")
    }
    guard output.status != 0 else { return output.standardOutput }
    let lines = output.standardError.split(separator: "\n")
    let why = lines.last.map(String.init) ?? "status \(output.status)"
    switch output.status {
    case 42: throw Problem(.unreadableData, path, "\(path) cannot be read (\(why)).")
    case 43: throw Problem(.malformedData, path, "\(path) \(why).")
    case 44:
      throw Problem(
        .hostileArchive, path,
        "\(path) asks for \(why), where only arrays and lists are due; it was not read.")
    default: throw Problem(.toolFailed, "python3", "\(path): Python failed (\(why)).")
    }
  }

  /// Writes labels, eight bytes each, and pixels, or a list of names, to its output; a reason to its error
  /// output, with status 42 for a file that cannot be opened, 43 for one of another content, and 44 for one
  /// that asks for anything but arrays and lists: neither Python nor the system's signals have these.
  private static let script = """
    import json, pickle, resource, struct, sys
    path, what, key, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])

    def leave(status, reason):
        sys.stderr.buffer.write(reason.encode("utf-8", "replace"))
        sys.exit(status)

    def text(value):
        return value.decode("latin1") if type(value) is bytes else value

    class Kind:
        # Stands for numpy.dtype: its name is all that is kept.
        __slots__ = ("name",)
        def __init__(self, name, *_):
            self.name = text(name)
        def __setstate__(self, _):
            pass

    class Array:
        # Stands for numpy.ndarray.
        __slots__ = ("shape", "is_by_columns", "bytes")
        def __setstate__(self, state):
            _, self.shape, kind, self.is_by_columns, self.bytes = state
            if type(kind) is not Kind or kind.name not in ("u1", "|u1", "uint8"):
                leave(43, "has an array of something else than bytes")

    def encode(value, encoding):
        # How Python 3 writes bytes in Python 2's protocols.
        if type(value) is not str or encoding not in ("latin1", b"latin1"):
            leave(43, "has bytes in an unknown encoding")
        return value.encode("latin1")

    def array(*_):
        return Array()

    def kind(name, *_):
        return Kind(name)

    known = {
        ("numpy.core.multiarray", "_reconstruct"): array,
        ("numpy._core.multiarray", "_reconstruct"): array,
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): kind,
        ("_codecs", "encode"): encode,
    }

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) not in known:
                leave(44, ascii(f"{module}.{name}")[1:-1][:200])
            return known[module, name]

    # A few bytes can ask for any amount of memory.
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    enough = 4 << 30 if most == resource.RLIM_INFINITY else min(4 << 30, most)
    resource.setrlimit(resource.RLIMIT_AS, (enough, most))
    try:
        file = open(path, "rb")
    except OSError as error:
        leave(42, error.strerror)
    try:
        content = Reader(file, encoding="bytes").load()
    except Exception as error:
        why = ascii(str(error))[1:-1][:200] or type(error).__name__
        leave(43, f"is cut short or no pickle of images ({why})")
    if type(content) is not dict:
        leave(43, "holds no dictionary")
    content = {text(name): value for name, value in content.items() if type(name) in (str, bytes)}
    listed = content.get(key)
    if type(listed) is not list:
        leave(43, f"has no list {key}")
    if what == "names":
        if not all(type(name) in (str, bytes) for name in listed):
            leave(43, f"has no names in its list {key}")
        names = [name.decode("utf-8", "replace") if type(name) is bytes else name for name in listed]
        json.dump(names, sys.stdout)
        sys.exit()
    for record, label in enumerate(listed):
        if type(label) is not int or not -1 << 63 <= label < 1 << 63:
            leave(43, f"has a label that is no number, that of record {record}")
    data = content.get("data")
    if type(data) is not Array or not hasattr(data, "shape"):
        leave(43, "has no array data")
    shape, pixels = data.shape, data.bytes
    def is_length(value):
        return type(value) is int and 0 <= value < 1 << 40
    if type(shape) is not tuple or not all(map(is_length, shape)):
        leave(43, "has an array data without a shape")
    if len(shape) != 2 or shape[1] != size:
        leave(43, f"has an array of {'×'.join(map(str, shape[:8]))} bytes, expected N×{size}")
    count = shape[0]
    if type(pixels) is not bytes or len(pixels) != count * size:
        leave(43, f"is damaged: its array has not the bytes of {count} images")
    if len(listed) != count:
        leave(43, f"has {len(listed)} labels and {count} images")
    if data.is_by_columns:
        pixels = b"".join(pixels[row::count] for row in range(count))
    sys.stdout.buffer.write(struct.pack(f"<{count}q", *listed))
    sys.stdout.buffer.write(pixels)
    """
}
