import Foundation
import Problems
import SystemTools

/// A data set in Parquet as the Hugging Face Hub has it: `train-*.parquet` and `test-*.parquet` (or `validation-*`), in a directory
/// or in `data` below it, with a column `image` of encoded images and one of labels.
struct ParquetImages {
  /// In the order of their names.
  let training, test: [String]

  /// The files of a directory; nil if there are none for training and testing.
  init?(in directory: String) {
    for place in [directory, "\(directory)/data"] {
      let names = ((try? FileManager.default.contentsOfDirectory(atPath: place)) ?? [])
        .filter { $0.hasSuffix(".parquet") }.sorted { $0.precedesByCodePoints($1) }
      func files(_ split: String) -> [String] {
        names.filter { $0 == "\(split).parquet" || $0.hasPrefix("\(split)-") }.map { "\(place)/\($0)" }
      }
      let tests = ["test", "validation", "valid", "val"].map(files).first { !$0.isEmpty }
      guard !files("train").isEmpty, let tests else { continue }
      (training, test) = (files("train"), tests)
      return
    }
    return nil
  }

  /// Writes the images as they are encoded to `train/<number of class>/` and `test/<number of class>/`; gives the names of the
  /// classes by these directories' names.
  ///
  /// - Throws: `Problem` without pyarrow, for other columns, and without room.
  func unpack(into directory: String) throws -> [String: String] {
    let subject = training[0]
    let python: String
    do {
      python = try Python.find(for: "read Parquet")
    } catch {
      throw Problem(.noPythonPackage, "pyarrow", "\(subject): \(error).")
    }
    let arguments = [directory, "\(training.count)"] + training + test
    let output = try Python.run(python, Self.script, arguments)
    let why = output.standardError.split(separator: "\n").last.map(String.init) ?? "status \(output.status)"
    switch output.status {
    case 0: break
    case 41:
      throw Problem(
        .noPythonPackage, "pyarrow",
        "\(subject) is a table in Parquet, which pyarrow reads; \(python) lacks it.")
    case 43: throw Problem(.malformedData, subject, "\(why).")
    case 44: throw Problem(.cannotUnpack, subject, "\(subject) could not be unpacked (\(why)).")
    default: throw Problem(.toolFailed, "python3", "\(subject): Python failed (\(why)).")
    }
    guard let names = try? JSONDecoder().decode([String: String].self, from: output.standardOutput) else {
      throw Problem(.internalError, subject, "\(subject): the names of its classes came as no JSON.")
    }
    return names
  }

  private static let script = """
    import json, os, sys
    target, count, paths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

    def leave(status, reason):
        sys.stderr.buffer.write(str(reason).replace("\\n", " ").encode("utf-8", "replace"))
        sys.exit(status)

    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        leave(41, "pyarrow")
    names, seen, number = {}, set(), 0
    try:
        for place, path in enumerate(paths):
            split = "train" if place < count else "test"
            with parquet.ParquetFile(path) as file:
                columns = file.schema_arrow.names
                image = next((name for name in ("image", "img") if name in columns), None)
                label = next((name for name in ("label", "labels", "fine_label", "class") if name in columns), None)
                if image is None or label is None:
                    leave(43, f"{path} has the columns {', '.join(columns)}; image and label (or fine_label) are needed")
                about = json.loads((file.schema_arrow.metadata or {}).get(b"huggingface", b"{}"))
                listed = about.get("info", {}).get("features", {}).get(label, {}).get("names") or []
                for batch in file.iter_batches(256, columns=[image, label]):
                    for picture, kind in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist()):
                        content = picture.get("bytes") if isinstance(picture, dict) else picture
                        if not isinstance(content, bytes) or type(kind) is not int or kind < 0:
                            leave(43, f"{path} has a row without the bytes of an image and a number of a class")
                        folder = "%06d" % kind
                        names[folder] = listed[kind] if kind < len(listed) else str(kind)
                        if (split, folder) not in seen:
                            os.makedirs(os.path.join(target, split, folder), exist_ok=True)
                            seen.add((split, folder))
                        # Whatever the format, it is told by content.
                        with open(os.path.join(target, split, folder, "%08d.png" % number), "wb") as out:
                            out.write(content)
                        number += 1
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, ValueError) as error:
        leave(43, f"{path} cannot be read as Parquet ({error})")
    except OSError as error:
        leave(44 if error.errno else 43, error.strerror or f"{path} cannot be read as Parquet ({error})")
    json.dump(names, sys.stdout)
    """
}
