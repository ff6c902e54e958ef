import Arrays
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Figures

/// Four mixtures of three layers and four classes, of which the classes 0, 1 and 3 were captured.
@Suite struct TrajectoriesTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// - Parameter logits: 5 mixtures × 3 layers × 4 classes.
  func capture(
    _ logits: [Double] = Self.logits,
    change: (inout [String: (values: [Double], shape: [Int])]) -> Void = { _ in }
  ) throws -> String {
    var tensors: [String: (values: [Double], shape: [Int])] = [
      "classes": ([0, 1, 3], [3]), "lambda": ([0.8, 0.2, 0.5, 0.8, 0.8], [5]),
      "labels": ([0, 0, 0, 3, 1], [5]), "partner_labels": ([1, 1, 1, 0, 1], [5]),
      "pairs": ([0, 0, 0, 1, 2], [5]), "logits": (logits, [5, 3, 4]),
      "projection": ((0..<30).map { Double($0 % 7) - 3 }, [5, 3, 2]),
      "classifier_projection": ([1, 0, -0.5, 0.866, -0.5, -0.866], [3, 2]),
    ]
    change(&tensors)
    var writer = SafetensorsWriter(metadata: ["class_names": #"["a","b","c","d"]"#])
    for (name, tensor) in tensors { writer.add(name, tensor.values, shape: tensor.shape) }
    try writer.write(to: directory.file("t.safetensors"))
    return directory.file("t.safetensors")
  }

  static let logits: [Double] = [
    // 0.8 a + 0.2 b: a from layer 1 on; b at layer 0, not at 1, and again at 2.
    0, 2, 1, 1, 3, 0, 1, 1, 3, 2, 1, 1,
    // 0.2 a + 0.8 b: both from layer 1 on, since layer 0 does not count.
    0, 3, 1, 1, 2, 3, 1, 1, 2, 2, 1, 1,
    // Half and half: of no uneven weight.
    9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
    // 0.8 d + 0.2 a: d from the start on; a never, since c equals it.
    0, 0, 0, 5, 0, 0, 0, 5, 1, 0, 1, 5,
    // Two images of b.
    0, 5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0,
  ]

  @Test func saysWhichClassIsSeenFirst() throws {
    let order = try LayerOrder(CapturedTrajectories(path: capture()), weight: 0.75)
    #expect(order.weight == 0.8 && order.mixtures == 3)
    // 1, 1 and 1; 2, 1 and never.
    #expect(order.heavierLayer == 1 && order.lighterLayer == 1.5)
    #expect(order.lighterLater == 2.0 / 3 && order.lighterEarlier == 0 && order.lighterNever == 1.0 / 3)
    // At the last layer, of e³ and e², e² and e², e⁵ and e.
    let share = (1 / (1 + exp(1)) + 0.5 + 1 / (1 + exp(4))) / 3
    #expect(order.lighterShare.count == 3 && abs(order.lighterShare[2] - share) < 1e-12)
  }

  @Test func aLighterClassCanComeFirst() throws {
    var logits = Self.logits
    // At layer 1 of the first mixture, b is ahead of c and d and a is not.
    logits.replaceSubrange(4..<6, with: [0.5, 2])
    let order = try LayerOrder(CapturedTrajectories(path: capture(logits)), weight: 0.8)
    #expect(order.lighterEarlier == 1.0 / 3 && order.lighterLater == 1.0 / 3)
  }

  @Test func drawsAPairOfEachKind() throws {
    let figure = try TrajectoriesFigure(capture: capture(), fileName: "figure-3", notes: ["a note"])
    let text = try JSONEncoder().text(figure.specification())
    for words in ["Two images of b", "λ · a + (1 − λ) · b", "3 mixtures, 0.8 of one class", "a note"] {
      #expect(text.contains(words), "\(words) is missing")
    }
    // Only the ends of the grid: the whole of one class stands in for an uneven mixture.
    let ends = try capture { $0["lambda"] = ([0, 1, 1, 0, 1], [5]) }
    let whole = try JSONEncoder().text(TrajectoriesFigure(capture: ends, fileName: "f").specification())
    #expect(whole.contains("4 mixtures, 1 of one class"))
    // Half and half, no class is the heavier: the two pairs alone are drawn.
    let even = try capture { $0["lambda"] = ([0.5, 0.5, 0.5, 0.5, 0.5], [5]) }
    let pairs = try JSONEncoder().text(TrajectoriesFigure(capture: even, fileName: "f").specification())
    #expect(pairs.contains("Two images of b") && !pairs.contains("heavier class"))
    // Of two weights as near, the smaller, whichever λ they come from.
    let near = try CapturedTrajectories(path: capture { $0["lambda"] = ([0.6, 0.2, 0.4, 0.6, 0.7], [5]) })
    #expect(near.nearestWeight(0.7) == 0.6 && near.nearestWeight(0.9) == 0.8)
  }

  @Test func otherFilesAreRefused() throws {
    func fails(_ words: String, _ change: (inout [String: (values: [Double], shape: [Int])]) -> Void) throws {
      let path = try capture(change: change)
      #expect {
        try TrajectoriesFigure(capture: path, fileName: "f")
      } throws: { "\($0)".contains(words) && ($0 as? Problem)?.code == .notTrajectories }
    }
    try fails("is no capture of trajectories") { $0["logits"] = ([0, 0, 0, 0, 0], [5, 1]) }
    try fails("not finite") { $0["logits"]!.values[7] = .nan }
    try fails("a label is not in 0 ..< 4") { $0["labels"]!.values[0] = 4 }
    try fails("has shape [4]") { $0["lambda"] = ([0, 0, 0, 0], [4]) }
    try fails("of three classes") { $0["classes"] = ([0, 1], [2]) }
    try fails("no pair of same class") { $0["labels"]!.values[4] = 0 }
    #expect { try CapturedTrajectories(path: "/nowhere") } throws: {
      ($0 as? Problem)?.code == .missingTrajectories
    }
    let single = try capture { $0["partner_labels"] = $0["labels"] }
    #expect { try LayerOrder(CapturedTrajectories(path: single), weight: 0.8) } throws: {
      "\($0)".contains("no uneven mixture of two classes") && ($0 as? Problem)?.code == .noUnevenMixtures
    }
  }
}
