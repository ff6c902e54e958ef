import Datasets
import Experiment
import Foundation
import Problems
import TestSupport
import Testing
import Torch

@testable import Runs

/// Which images a run sees, and where it mixes them.
@Suite struct DataChoicesTests {
  let fixture: RunFixture

  init() throws { fixture = try RunFixture() }

  /// Mixing at the image alone is mixup to the bit; at deeper layers it is something else, of which
  /// each step draws one.
  @Test func manifoldMixup() throws {
    var configuration = fixture.configuration
    let mixup = try fixture.run(configuration, "mixup").run
    configuration.mixup.kind = .manifold
    configuration.mixup.layers = [0]
    let image = try fixture.run(configuration, "image").run
    #expect(try fixture.bytes(mixup.weights) == fixture.bytes(image.weights))
    configuration.mixup.layers = [0, 2, 3]
    let whole = try fixture.run(configuration, "whole").run
    #expect(try fixture.bytes(mixup.weights) != fixture.bytes(whole.weights))
    let (run, _) = try fixture.run(configuration, "stopped", stopAfter: 8)
    #expect(try TrainingRun.resume(run, command: ["again"], report: { _ in }) != nil)
    #expect(try fixture.bytes(run.weights) == fixture.bytes(whole.weights))

    let setup = try Setup(configuration)
    let plain = try Setup(fixture.configuration)
    var layers: [Int] = []
    for step in 0..<6 {
      let (own, other) = try (setup.batch(step: step), plain.batch(step: step))
      #expect(try own.targets.array(Float.self) == other.targets.array(Float.self))
      let layer = own.alteration?.layers.first ?? 0
      layers.append(layer)
      let mixed = own.alteration.map { $0.apply(own.images, layer) } ?? own.images
      #expect(try mixed.array(Float.self) == other.images.array(Float.self))
    }
    #expect(Set(layers).count > 1 && layers.allSatisfy { [0, 2, 3].contains($0) })
  }

  /// Images that are held out are measured on and never trained on or captured.
  @Test func validation() throws {
    var configuration = fixture.configuration
    configuration.data.validation = 20
    let run = try fixture.run(configuration, "run").run
    let rows = try run.metricRows()
    #expect(rows.allSatisfy { $0.validationAccuracy != nil && $0.testAccuracy != nil })
    #expect(rows.last?.step == 3 * (76 / 16))
    let setup = try Setup(configuration)
    let heldOut = Set(try #require(setup.dataset.validation).places)
    #expect(heldOut.count == 20 && heldOut.isDisjoint(with: setup.dataset.training.places))
    let capture = try TensorArchive(path: run.captures + "/activations.safetensors")
    #expect(try heldOut.isDisjoint(with: capture.tensor("image_indices").array(Int.self)))
    #expect(try run.metricRows().last?.line.contains("validation accuracy") == true)
    #expect(try fixture.run(fixture.configuration, "none").run.metricRows().last?.validationAccuracy == nil)
  }

  @Test func classesByName() throws {
    var configuration = fixture.configuration
    configuration.capture.classCount = 2
    configuration.data.classes = ["2", 0]
    #expect(try Setup(configuration).dataset.source.classNumbers == [2, 0])
    configuration.data.classes = ["cat", 0]
    #expect { try Setup(configuration) } throws: {
      ($0 as? Problem)?.choices == ["0: 0", "1: 1", "2: 2"] && "\($0)".contains("has no class \"cat\"")
    }
    configuration.data.classes = ["1", "number:1"]
    #expect { try Setup(configuration) } throws: { "\($0)".contains("names a class twice") }
  }

  /// Directories named by digits are in the order of their names: a number may mean two of them.
  @Test func namesThatAreNumbers() throws {
    let set = ImageSet(
      pixels: Data(count: 3), shape: ImageShape(height: 1, width: 1, channels: 1), labels: [0, 1, 2])
    let dataset = try ImageDataset(
      name: "d", classNames: ["1", "10", "2"], training: set, test: set, origin: "")
    #expect(try dataset.numbers(of: ["name:2", "name:1"]) == [2, 0])
    #expect { try dataset.numbers(of: [1, 0]) } throws: {
      "\($0)".contains("1 is the name of class number 0 and the number of class \"10\"")
        && ($0 as? Problem)?.code == .ambiguousClass
    }
    #expect(try dataset.numbers(of: [0, "10"]) == [0, 1])
  }

  /// A simplex ETF of 70 classes needs 69 dimensions; this network has 64.
  @Test func tooManyClassesForASimplex() throws {
    let images = [UInt8](repeating: 9, count: 70 * 64).enumerated().map {
      UInt8(truncatingIfNeeded: $0.offset)
    }
    for prefix in ["train", "t10k"] {
      try fixture.directory.write(
        SyntheticImages.idx([70, 8, 8], images), to: "\(prefix)-images-idx3-ubyte")
      try fixture.directory.write(
        SyntheticImages.idx([70], (0..<70).map { UInt8($0) }), to: "\(prefix)-labels-idx1-ubyte")
    }
    var configuration = fixture.configuration
    configuration.model.classifier = .simplexETF
    let error = #expect(throws: Problem.self) { try Setup(configuration) }
    #expect(
      error?.code == .unfitSimplex && error?.reason.contains("wrn-10-1 cannot have a simplex ETF") == true)
    configuration.model.name = "wrn-10-2"
    #expect(try Setup(configuration).network.model.bias == nil)
  }
}
