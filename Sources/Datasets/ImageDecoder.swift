import Foundation
import Problems
import SystemTools

/// Decodes image files with Pillow, which runs in a Python that has it.
struct ImageDecoder {
  /// Height and width to scale and crop to; 0: as they are, and then all like the first.
  var size = 0

  /// What became of a list of files.
  struct Result {
    /// n×H×W×3 bytes of those that could be decoded, in order.
    let pixels: Data
    let shape: ImageShape
    /// The others, by their place in the list.
    let failures: [(index: Int, reason: String)]
  }

  private struct Answer: Decodable {
    let height, width: Int
    let failures: [Failure]

    struct Failure: Decodable {
      let index: Int
      let reason: String
    }
  }

  /// Decodes files, each to RGB.
  ///
  /// - Throws: `Problem` if there is no Pillow, or the cache has no room for the pixels.
  func decode(_ paths: [String], reporting: DataReporting) throws -> Result {
    let python: String
    do {
      python = try Python.find(for: "decode images with")
    } catch let error as ToolError {
      throw Problem(.noPythonPackage, "pillow", "\(error).")
    }
    return try DataCache.withStaging { staging in
      let pixels = "\(staging)/pixels"
      let list = Data(paths.joined(separator: "\0").utf8)
      reporting("decoding \(paths.count) images", 0)
      let output = try Python.run(python, Self.script, [pixels, "\(size)"], input: list) {
        let done = (try? String(contentsOfFile: pixels + ".done", encoding: .utf8)).flatMap(Double.init)
        reporting("decoding \(paths.count) images", (done ?? 0) / Double(paths.count))
        return true
      }
      guard output.status == 0,
        let answer = try? JSONDecoder().decode(Answer.self, from: output.standardOutput)
      else {
        let why =
          output.standardError.split(separator: "\n").last.map(String.init) ?? "status \(output.status)"
        throw Problem(.noPythonPackage, "pillow", "the images could not be decoded by \(python): \(why).")
      }
      let failures = answer.failures.map { (index: $0.index, reason: $0.reason) }
      let shape = ImageShape(height: answer.height, width: answer.width, channels: 3)
      let content =
        failures.count == paths.count ? Data() : try Data(contentsOf: URL(fileURLWithPath: pixels))
      guard content.count == (paths.count - failures.count) * shape.bytes else {
        throw Problem(
          .internalError, pixels, "\(content.count) bytes were decoded where \(shape) an image are due.")
      }
      return Result(pixels: content, shape: shape, failures: failures)
    }
  }

  /// Reads paths, separated by zero bytes, from its input; writes pixels to the file of its first
  /// argument, and to its output what could not be decoded.
  private static let script = """
    import json, os, sys
    from concurrent.futures import ThreadPoolExecutor
    from PIL import Image, ImageOps
    target, side = sys.argv[1], int(sys.argv[2])
    paths = [os.fsdecode(path) for path in sys.stdin.buffer.read().split(b"\\0")]

    def decode(path):
        try:
            with Image.open(path) as image:
                if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
                    # 16 bits a pixel, of which a conversion would keep what is below 256.
                    image = image.convert("I").point(lambda value: value / 256).convert("L")
                elif image.mode == "I":
                    # 32 bits a pixel are taken as they are, as torchvision does, where that loses nothing.
                    low, high = image.getextrema()
                    if low < 0 or high > 255:
                        return None, "has 32 bits a pixel and values from %d to %d, not 0 to 255" % (low, high)
                image = image.convert("RGB")
                if side:
                    image = ImageOps.fit(image, (side, side), Image.Resampling.BILINEAR)
                return image.size, image.tobytes()
        except Exception as error:
            return None, str(error).split(": ")[-1] or type(error).__name__

    # A decoder that sees an enormous picture refuses it as an error.
    Image.warnings.simplefilter("error", Image.DecompressionBombWarning)
    size, failures = None, []
    with open(target, "wb") as pixels, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), 1024):
            for index, (found, content) in enumerate(pool.map(decode, paths[start:start + 1024]), start):
                if found is None:
                    failures.append({"index": index, "reason": content})
                elif size not in (None, found):
                    reason = "it has %d×%d pixels, the first image %d×%d" % (found + size)
                    failures.append({"index": index, "reason": reason})
                else:
                    size = found
                    pixels.write(content)
            with open(target + ".done", "w") as progress:
                progress.write(str(start))
    width, height = size or (0, 0)
    json.dump({"height": height, "width": width, "failures": failures}, sys.stdout)
    """
}
