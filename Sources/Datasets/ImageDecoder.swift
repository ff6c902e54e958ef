import Foundation
import Problems
import SystemTools

/// Decodes image files with Pillow, which runs in a Python that has it, on all cores.
struct ImageDecoder {
  /// Height and width to scale and crop to; 0: as they are, and then all like the first.
  var size = 0

  /// An image that cannot be used.
  struct Failure: Decodable {
    /// Its place in the list.
    let index: Int
    let reason: String

    init(index: Int, reason: String) {
      self.index = index
      self.reason = reason
    }

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      index = try values.decode(Int.self)
      reason = try values.decode(String.self)
    }
  }

  /// Images that follow each other in the list and in the target, and are decoded by one process.
  struct Part: Encodable {
    /// The first of them in the list of all.
    let first: Int
    let count: Int
    /// Place of the first in the target.
    let offset: Int
    let width: Int
    let height: Int
    /// A part that was decoded under the same stamp is not decoded again.
    let stamp: String
  }

  /// The first image of a list that can be decoded.
  struct First: Decodable {
    /// 0 where there is none.
    let width: Int
    let height: Int
    /// Those before it.
    let failures: [Failure]
  }

  private struct Plan: Encodable {
    var side: Int
    /// Numbers of images in lists whose first is asked for.
    var lists: [Int] = []
    var target = ""
    var journal = ""
    var parts: [Part] = []
  }

  /// A line of the journal: a part that is written.
  private struct Entry: Decodable {
    let part: Int
    let failures: [Failure]
  }

  /// Looks for the first image in each list that can be decoded.
  ///
  /// - Throws: `Problem` if there is no Pillow.
  func first(of lists: [[String]]) throws -> [First] {
    let output = try run(Plan(side: size, lists: lists.map(\.count)), lists.flatMap { $0 }) { true }
    guard let answer = try? JSONDecoder().decode([First].self, from: output) else {
      throw Problem(.internalError, "pillow", "the sizes of images came as no JSON.")
    }
    return answer
  }

  /// Decodes files, each to RGB, and writes them to their places in a file; zeros for those that cannot be used.
  ///
  /// - Parameters:
  ///   - parts: what is to be written where. What a journal says was written, and is there, stays.
  ///   - target: a file that has room for them.
  ///   - journal: a file that each part is noted in when it is written.
  ///   - progress: told how many images are written, and how many of them were before.
  /// - Returns: images that cannot be used, by their place in the list of all.
  /// - Throws: `Problem` if there is no Pillow, or the target cannot be written.
  func decode(
    _ paths: [String], _ parts: [Part], into target: String, journal: String,
    progress: (_ done: Int, _ before: Int) -> Void
  ) throws -> [Failure] {
    let told = journal + ".done"
    defer { unlink(told) }
    _ = try run(Plan(side: size, target: target, journal: journal, parts: parts), paths) {
      let numbers = (try? String(contentsOfFile: told, encoding: .utf8))?.split(separator: " ") ?? []
      if numbers.count == 2, let done = Int(numbers[0]), let before = Int(numbers[1]) {
        progress(done, before)
      }
      return true
    }
    let lines = (FileManager.default.contents(atPath: journal) ?? Data()).split(separator: UInt8(ascii: "\n"))
    var entries: [Int: [Failure]] = [:]
    for line in lines {
      guard let entry = try? JSONDecoder().decode(Entry.self, from: line) else { continue }
      entries[entry.part] = entry.failures
    }
    guard entries.count == parts.count else {
      throw Problem(.internalError, journal, "\(entries.count) of \(parts.count) parts were decoded.")
    }
    return entries.sorted { $0.key < $1.key }.flatMap { part, failures in
      failures.map { Failure(index: parts[part].first + $0.index, reason: $0.reason) }
    }
  }

  private func run(_ plan: Plan, _ paths: [String], watch: () -> Bool) throws -> Data {
    let python: String
    do {
      python = try Python.find(for: "decode images with")
    } catch let error as ToolError {
      throw Problem(.noPythonPackage, "pillow", "\(error).")
    }
    var input = try JSONEncoder().encode(plan)
    input.append(UInt8(ascii: "\n"))
    input.append(contentsOf: paths.joined(separator: "\0").utf8)
    let output = try Python.run(python, Self.script, input: input, watch: watch)
    guard output.status == 0 else {
      let why = output.standardError.split(separator: "\n").last.map(String.init) ?? "status \(output.status)"
      if output.status == Self.unwritable {
        throw Problem(.unwritableCache, plan.target, "\(plan.target) cannot be written (\(why)).")
      }
      throw Problem(.noPythonPackage, "pillow", "the images could not be decoded by \(python): \(why).")
    }
    return output.standardOutput
  }

  /// The script's status when it cannot write.
  private static let unwritable: Int32 = 3

  /// Reads a plan in JSON from the first line of its input, and after it paths that are separated by zero bytes.
  private static let script = """
    import ctypes, json, os, signal, sys, zlib
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context
    from PIL import Image, ImageOps
    plan = json.loads(sys.stdin.buffer.readline())
    paths = [os.fsdecode(path) for path in sys.stdin.buffer.read().split(b"\\0")]
    side, parts = plan["side"], plan["parts"]

    def end_with_parent():
        # PR_SET_PDEATHSIG: nobody is left to work for.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)

    def decode(path):
        try:
            # Of the others, some are read by programs that are started for them.
            with Image.open(path, formats=["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"]) as image:
                if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
                    # 16 bits a pixel, of which a conversion would keep what is below 256.
                    image = image.convert("I").point(lambda value: value / 256).convert("L")
                elif image.mode == "I":
                    # 32 bits a pixel are taken as they are, as torchvision does, where that loses nothing.
                    low, high = image.getextrema()
                    if low < 0 or high > 255:
                        return None, "has 32 bits a pixel and values from %d to %d, not 0 to 255" % (low, high)
                elif image.mode == "F":
                    # The same of floats, whose fractions are cut off: from 0 to 1, nothing would be left.
                    low, high = image.getextrema()
                    if not (0 <= low and 1 < high <= 255) and (low, high) != (0, 0):
                        return None, "has floats from %g to %g, not 0 to 255" % (low, high)
                image = image.convert("RGB")
                if side:
                    image = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
                return image.size, image.tobytes()
        except Exception as error:
            return None, str(error).split(": ")[-1] or type(error).__name__

    def first(paths):
        failures = []
        for index, path in enumerate(paths):
            size, content = decode(path)
            if size:
                return {"width": size[0], "height": size[1], "failures": failures}
            failures.append([index, content])
        return {"width": 0, "height": 0, "failures": failures}

    def room(part):
        return part["count"] * part["width"] * part["height"] * 3

    def is_whole(entry):
        # What a crash of the machine has lost is decoded again.
        part = parts[entry["part"]]
        left, place, checksum = room(part), part["offset"], 0
        while left:
            content = os.pread(target, min(left, 1 << 20), place)
            if not content:
                return False
            left, place, checksum = left - len(content), place + len(content), zlib.crc32(content, checksum)
        return checksum == entry["checksum"]

    def work(number):
        part = parts[number]
        size = part["width"], part["height"]
        step = 3 * size[0] * size[1]
        pixels, failures = bytearray(room(part)), []
        for index in range(part["count"]):
            found, content = decode(paths[part["first"] + index])
            if found is None:
                failures.append([index, content])
            elif found != size:
                failures.append([index, "it has %d×%d pixels, the first image %d×%d" % (found + size)])
            else:
                pixels[index * step:(index + 1) * step] = content
        view, place = memoryview(pixels), part["offset"]
        while view:
            count = os.pwrite(target, view, place)
            view, place = view[count:], place + count
        entry = {"part": number, "stamp": part["stamp"], "checksum": zlib.crc32(pixels), "failures": failures}
        os.write(journal, (json.dumps(entry) + "\\n").encode())
        return part["count"]

    def kept(lines):
        for line in lines:
            try:
                entry = json.loads(line)
                if parts[entry["part"]]["stamp"] == entry["stamp"]:
                    yield entry
            except (ValueError, KeyError, IndexError, TypeError):
                # The line that was being written when the machine stopped.
                pass

    def finished(function, items):
        cores = min(len(os.sched_getaffinity(0)), len(items))
        if cores < 2:
            yield from ((item, function(item)) for item in items)
            return
        with ProcessPoolExecutor(cores, get_context("fork"), end_with_parent) as pool:
            waiting = {pool.submit(function, item): item for item in items}
            try:
                for future in as_completed(waiting):
                    yield waiting[future], future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    # Pillow warns of pictures above 89 million pixels, and refuses those of twice that.
    Image.warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    if plan["lists"]:
        end_with_parent()
        starts = [sum(plan["lists"][:n]) for n in range(len(plan["lists"]))]
        json.dump([first(paths[start:start + count]) for start, count in zip(starts, plan["lists"])], sys.stdout)
        sys.exit()
    try:
        end_with_parent()
        target = os.open(plan["target"], os.O_RDWR)
        with open(plan["journal"], encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\\n")
        known = {entry["part"]: entry for entry in kept(lines[1:])}
        whole = [entry for entry, is_good in finished(is_whole, list(known.values())) if is_good]
        with open(plan["journal"] + ".new", "w", encoding="utf-8") as file:
            file.write("\\n".join([lines[0]] + [json.dumps(entry) for entry in whole]) + "\\n")
        os.replace(plan["journal"] + ".new", plan["journal"])
        journal = os.open(plan["journal"], os.O_WRONLY | os.O_APPEND)
        there = {entry["part"] for entry in whole}
        before = done = sum(parts[number]["count"] for number in there)
        for number, count in finished(work, [number for number in range(len(parts)) if number not in there]):
            done += count
            with open(plan["journal"] + ".done", "w") as file:
                file.write("%d %d" % (done, before))
    except OSError as error:
        sys.stderr.write(error.strerror)
        sys.exit(3)
    """
}
