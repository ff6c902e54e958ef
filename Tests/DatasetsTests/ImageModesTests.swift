import Foundation
import SystemTools
import TestSupport
import Testing

@testable import Datasets

/// Pictures of every mode that files of the usual kinds have.
@Suite struct ImageModesTests {
  /// They become what Pillow's conversion to RGB gives, which is what torchvision's ImageFolder loads.
  @Test func asPillowConverts() throws {
    let directory = try TemporaryDirectory()
    let script = """
      import os, sys
      import numpy as np
      from PIL import Image
      root = sys.argv[1]
      noise = np.random.default_rng(1)
      image = Image.fromarray(noise.integers(0, 256, (9, 7, 3), np.uint8))
      forms = [("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "png"), ("RGBA", "png"),
               ("CMYK", "tif"), ("CMYK", "jpg"), ("YCbCr", "jpg"), ("LAB", "tif"), ("P", "bmp"), ("1", "tif")]
      expected = []
      for split, name in (("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")):
          os.makedirs(os.path.join(root, "images", split, name))
      for number, (mode, kind) in enumerate(forms):
          path = os.path.join(root, "images", "train", "a", "%02d.%s" % (number, kind))
          (image.convert("L").convert("LA") if mode == "LA" else image.convert(mode)).save(path)
          with Image.open(path) as read:
              expected.append(np.asarray(read.convert("RGB")))
      for place in ("train/b", "test/a", "test/b"):
          image.save(os.path.join(root, "images", place, "x.png"))
      np.stack(expected).tofile(os.path.join(root, "expected"))
      """
    let output = try Tool.run(Python.find(for: "make images with"), ["-c", script, directory.path])
    try #require(output.status == 0, "\(output.standardError)")
    let dataset = try DataCache.$scoped.withValue(directory.file("cache")) {
      try ImageFolder(directory: directory.file("images")).load()
    }
    let chosen = dataset.training.labels.indices.filter { dataset.training.labels[$0] == 0 }
    let pixels = try dataset.training.selected(chosen).pixels
    #expect(pixels == (try Data(contentsOf: URL(fileURLWithPath: directory.file("expected")))))
    #expect(chosen.count == 12 && Set(pixels).count > 100)
  }
}
