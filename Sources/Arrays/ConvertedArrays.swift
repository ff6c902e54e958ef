import Foundation
import Problems
import SystemTools

/// Arrays of files whose formats libraries of Python own: they read them, isolated, and leave a safetensors file that is
/// gone once it is open.
enum ConvertedArrays {
  /// The kinds that are read so, and the package that does it.
  static let packages: [FileKind: String] = [
    .torch: "torch", .oldTorch: "torch", .hdf5: "h5py", .matlabHDF5: "h5py", .matlab: "scipy", .csv: "numpy",
  ]

  /// Converts a file; gives the whole safetensors file and where its bytes can be read.
  ///
  /// Nothing that the file says is run: PyTorch reads with `weights_only=True`, and refuses what is not tensors, numbers,
  /// text, lists and dictionaries.
  ///
  /// - Throws: `Problem` without Python or the package, for a file that is damaged or asks for more, and without room.
  static func arrays(of path: String, _ kind: FileKind) throws -> (SafetensorsFile, OpenFile) {
    let package = packages[kind] ?? "numpy"
    let python: String
    do {
      python = try Python.find(for: "read \(path)")
    } catch {
      throw Problem(.noPythonPackage, package, "\(path): \(error).")
    }
    let target = FileManager.default.temporaryDirectory.path + "/collapse-\(UUID().uuidString).arrays"
    defer { unlink(target) }
    let output = try Python.run(python, script, [kind.rawValue, path, target])
    let why = output.standardError.split(separator: "\n").last.map(String.init) ?? "status \(output.status)"
    switch output.status {
    case 0: break
    case 41:
      throw Problem(
        .noPythonPackage, why, "\(path) is \(kind.title), which \(why) reads; \(python) lacks it.")
    case 42:
      throw Problem(
        .pickle, path,
        "\(path) asks for \(why) when it is read; PyTorch refuses that with weights_only=True, and so it is here",
        choices: [kind.rawValue])
    case 43: throw Problem(.damagedFile, path, "\(path) cannot be read as \(kind.title) (\(why))")
    case 44:
      throw Problem(
        .unwritableFile, target,
        "\(path) takes more room than there is in \(FileManager.default.temporaryDirectory.path) (\(why)); "
          + "TMPDIR names another directory.")
    default: throw Problem(.toolFailed, "python3", "\(path): Python failed (\(why)).")
    }
    return try (SafetensorsFile(path: target), OpenFile(target, named: path, isTemporary: true))
  }

  /// Takes the kind, a path and a target. Status 41 for a package that is missing, 42 for a pickle that asks for more than
  /// arrays, 43 for a file that cannot be read, 44 for a target that cannot be written.
  private static let script = #"""
    import json, re, struct, sys
    kind, path, target = sys.argv[1:4]

    def leave(status, reason):
        sys.stderr.buffer.write(str(reason).replace("\n", " ").encode("utf-8", "replace"))
        sys.exit(status)

    def need(name):
        import importlib
        try:
            return importlib.import_module(name)
        except ImportError:
            leave(41, name.split(".")[0])

    def write(arrays):
        # Names with the type, the shape and a function that gives the bytes.
        header, offset = {}, 0
        for name, (kind, shape, size, _) in arrays.items():
            header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        try:
            with open(target, "wb") as file:
                file.write(struct.pack("<Q", len(text)) + text)
                for _, _, _, give in arrays.values():
                    file.write(give())
        except OSError as error:
            leave(44, error.strerror)

    def of_numpy(array):
        numpy = need("numpy")
        names = {"b": "BOOL", "f": "F%d", "i": "I%d", "u": "U%d"}
        kind = names.get(array.dtype.kind)
        if kind is None or array.dtype.itemsize > 8:
            return None
        if "%" in kind:
            kind %= 8 * array.dtype.itemsize
        give = lambda: numpy.ascontiguousarray(array[...], array.dtype.newbyteorder("<")).tobytes()
        return kind, array.shape, array.dtype.itemsize * array.size, give

    def vector(array):
        # MATLAB has no arrays of one dimension.
        return array.reshape(-1) if array.ndim == 2 and 1 in array.shape else array

    def of_torch(tensor):
        import ctypes
        names = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
                 "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
                 "uint16": "U16", "uint32": "U32", "uint64": "U64"}
        kind = names.get(str(tensor.dtype).split(".")[-1])
        if kind is None or tensor.layout != torch.strided or tensor.is_quantized:
            return None
        size = tensor.element_size() * tensor.numel()
        def give():
            whole = tensor.detach().resolve_conj().resolve_neg().contiguous()
            return ctypes.string_at(whole.data_ptr(), size) if size else b""
        return kind, tensor.shape, size, give

    def flattened(value, name=""):
        if isinstance(value, torch.Tensor):
            yield name, of_torch(value)
        elif type(value).__module__ == "numpy" and hasattr(value, "shape"):
            yield name, of_numpy(value)
        elif isinstance(value, dict):
            for key, part in value.items():
                yield from flattened(part, f"{name}.{key}" if name else str(key))
        elif isinstance(value, (list, tuple)) and value:
            if all(type(part) in (int, float) for part in value):
                exact = all(type(part) is int and abs(part) < 1 << 63 for part in value)
                yield name, of_torch(torch.tensor(value, dtype=torch.int64 if exact else torch.float64))
            else:
                for index, part in enumerate(value):
                    yield from flattened(part, f"{name}[{index}]")

    if kind in ("torch", "oldTorch"):
        torch = need("torch")
        harmless = []
        try:
            # Arrays of numbers, as torch.save keeps those of NumPy beside tensors.
            import argparse, numpy
            try:
                from numpy._core.multiarray import _reconstruct, scalar
            except ImportError:
                from numpy.core.multiarray import _reconstruct, scalar
            import _codecs
            numbers = "float64 float32 float16 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool"
            harmless = [(_reconstruct, "numpy.core.multiarray._reconstruct"), _reconstruct, numpy.ndarray,
                        (scalar, "numpy.core.multiarray.scalar"), scalar, numpy.dtype, _codecs.encode,
                        argparse.Namespace]
            harmless += [type(numpy.dtype(name)) for name in numbers.split()]
        except ImportError:
            pass
        try:
            with torch.serialization.safe_globals(harmless):
                content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            text = str(error)
            asked = re.search(r"[Uu]nsupported (?:global|class|operand)[^:]*: (?:GLOBAL )?([\w.]+)", text)
            asked = asked or re.search(r"GLOBAL ([\w.]+)", text)
            if asked:
                leave(42, asked.group(1))
            leave(43, text.split("\n")[0][:200] or type(error).__name__)
        arrays = dict(flattened(content))
    elif kind in ("hdf5", "matlabHDF5"):
        h5py = need("h5py")
        arrays = {}
        def visit(name, item):
            # MATLAB's names of what is behind its references begin so.
            if isinstance(item, h5py.Dataset) and not name.startswith("#") and item.dtype.kind in "bfiuc":
                if kind == "matlabHDF5":
                    # It keeps the first index innermost.
                    numpy = need("numpy")
                    arrays[name] = of_numpy(vector(numpy.transpose(item[...])))
                else:
                    arrays[name] = of_numpy(item)
        try:
            with h5py.File(path, "r") as file:
                file.visititems(visit)
                write({name: array for name, array in arrays.items() if array})
            sys.exit()
        except (OSError, RuntimeError, ValueError) as error:
            leave(43, error)
    elif kind == "matlab":
        io = need("scipy.io")
        try:
            content = io.loadmat(path)
        except Exception as error:
            leave(43, error)
        arrays = {name: of_numpy(vector(value)) for name, value in content.items()
                  if not name.startswith("__") and hasattr(value, "dtype")}
    else:
        numpy = need("numpy")
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                first = file.readline()
                separator = max(",\t;", key=first.count)
                columns = [name.strip().strip('"') for name in first.rstrip("\r\n").split(separator)]
                def number(text):
                    try:
                        float(text)
                        return True
                    except ValueError:
                        return False
                has_names = not all(number(name) for name in columns)
                if not has_names:
                    file.seek(0)
                table = numpy.loadtxt(file, delimiter=separator, ndmin=2, quotechar='"', comments=None)
        except (ValueError, OSError) as error:
            leave(43, error)
        if not has_names:
            arrays = {"": of_numpy(table)}
        else:
            if len(set(columns)) != len(columns):
                leave(43, "two columns have one name")
            groups = {}
            for place, name in enumerate(columns):
                # Columns f0, f1, … or f_0, f_1, … are one array f.
                found = re.fullmatch(r"(.*[^\d_.\[-])[_.\[-]?(\d+)\]?", name)
                groups.setdefault(found.group(1) if found else name, []).append(
                    (int(found.group(2)) if found else -1, place))
            plural = {"feature": "features", "label": "labels", "logit": "logits", "probability": "probabilities"}
            arrays = {}
            for name, members in groups.items():
                places = [place for _, place in sorted(members)]
                isolated = len(members) == 1 and members[0][0] == -1
                part = table[:, places[0]] if isolated else table[:, places]
                arrays[plural.get(name, name)] = of_numpy(part)
    write({name: array for name, array in arrays.items() if array})
    """#
}
