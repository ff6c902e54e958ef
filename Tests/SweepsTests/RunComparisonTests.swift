import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Sweeps

@Suite struct RunComparisonTests {
  let files: RunFiles

  init() throws { files = try RunFiles() }

  @Test func twoRuns() throws {
    let runs = try [
      files.entry("a", accuracy: 0.5) { $0.mixup.alpha = 0.4 },
      files.entry("b", .interrupted, epochs: 2, accuracy: 0.75) { $0.optimizer.kind = .adam },
    ]
    let comparison = try RunComparison(runs)
    #expect(comparison.settings.map(\.name) == ["mixup.alpha", "optimizer.kind"])
    #expect(comparison.settings[0].values == [.number(0.4), .number(1)])
    #expect(comparison.equalSettings == RunSettings.keys.count - 2)
    let accuracy = try #require(comparison.numbers.first { $0.name == "test_accuracy" })
    #expect(accuracy.values == [0.5, 0.75] && comparison.difference(accuracy) == 0.25)
    // What one of them lacks has no difference, and is not lost.
    let alignment = try #require(comparison.numbers.first { $0.name == "same_class_alignment" })
    #expect(alignment.values == [0.75, nil] && comparison.difference(alignment) == nil)
    #expect(!comparison.shared.contains { $0.name == "same_class_alignment" })
    #expect(comparison.notes == ["b (interrupted): its numbers are of epoch 2 of 3."])
    #expect(comparison.circumstances.isEmpty)
  }

  @Test func whatElseDiffers() throws {
    let runs = try ["a", "b", "c"].enumerated().map { number, name in
      let run = try files.run(name, accuracy: [0.5, 0.25, 0.75][number])
      var manifest = try Manifest(path: run.manifest)
      manifest.libtorchLoaded = number == 1 ? "2.14.0" : "2.13.0"
      manifest.trainingImages = number == 2 ? 60_000 : 50_000
      manifest.machine.host = "node\(number)"
      try manifest.write(to: run.path)
      return try RunEntry(run)
    }
    let comparison = try RunComparison(runs)
    #expect(comparison.circumstances.map(\.name) == ["training images", "libtorch", "host"])
    #expect(comparison.circumstances[0].values == ["50000", "50000", "60000"])
    #expect(comparison.settings.isEmpty && comparison.notes.count == 3)
    #expect(comparison.notes[0].contains("data are not the same (training images)"))
    #expect(comparison.notes[1].contains("(libtorch)") && comparison.notes[2].contains("one configuration"))
    let accuracy = try #require(comparison.numbers.first { $0.name == "test_accuracy" })
    #expect(comparison.difference(accuracy) == 0.5)
  }

  @Test func json() throws {
    let runs = try [files.entry("a") { $0.seed = 1 }, files.entry("b", nil, epochs: 0)]
    let text = try RunComparison(runs).json()
    let found = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    #expect(found["runs"] as? [String] == runs.map(\.run.path))
    #expect((found["settings"] as? [String: [Int]]) == ["seed": [1, 0]])
    #expect(found["equal_settings"] as? Int == RunSettings.keys.count - 1)
    let numbers = try #require(found["numbers"] as? [String: [Any]])
    #expect(numbers["test_accuracy"]?[0] as? Double == 0.5 && numbers["test_accuracy"]?[1] is NSNull)
    #expect((found["differences"] as? [String: Double])?.isEmpty == true)
  }

  @Test func oneRun() throws {
    let run = try files.entry("a")
    #expect { try RunComparison([run]) } throws: { isProblem($0, .badSetting, "two runs or more, not 1") }
  }

  /// Shares in percent with differences in points, others with four digits.
  @Test func numbersForPeople() throws {
    #expect(RunNumbers.text(0.97331, of: "test_accuracy") == "97.33 %")
    #expect(RunNumbers.text(0.0123456, of: "train_loss") == "0.01235")
    #expect(RunNumbers.text(1.5e-7, of: "train_loss") == "1.500e-07")
    #expect(RunNumbers.difference(-0.0125, of: "test_accuracy") == "−1.25 points")
    #expect(RunNumbers.difference(0.5, of: "train_loss") == "+0.5000")
    #expect(RunNumbers.difference(0, of: "train_loss") == "0")
    #expect(RunNumbers.text(RunRow.Mean([0.5, 0.75]), of: "test_accuracy") == "62.50 ± 17.68 % (2)")
    #expect(RunNumbers.text(RunRow.Mean([1, 1.5]), of: "train_loss") == "1.250 ± 0.354 (2)")
    #expect(RunNumbers.text(RunRow.Mean([1]), of: "train_loss") == "1 (1)")
  }
}
