import Arrays
import Foundation
import Problems
import TestSupport
import Testing

@testable import Figures

@Suite struct ActivationsFigureTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A capture of five mixtures of classes 1, 2 and 4 of five.
  func capture(change: (inout [String: (values: [Double], shape: [Int])]) -> Void = { _ in }) throws -> String
  {
    var tensors: [String: (values: [Double], shape: [Int])] = [
      "classes": ([1, 2, 4], [3]), "lambda": ([0.5, 0.9, 0.25, 1, 0], [5]),
      "labels": ([1, 1, 2, 4, 4], [5]), "partner_labels": ([1, 2, 2, 4, 1], [5]),
      "projection": ([4, 0, 1, 1, -2, 3.5, -2, -3.5, 0.000123456, 0], [5, 2]),
      "classifier_projection": ([1, 0, -0.5, 0.866, -0.5, -0.866], [3, 2]),
      "logits": ((0..<25).map { $0 == 1 ? 1000 : 0 }, [5, 5]),
    ]
    change(&tensors)
    var writer = SafetensorsWriter(metadata: [
      "class_names": #"["a","b","c","d","e"]"#, "model": "wrn", "mixup": "1.0",
    ])
    for (name, tensor) in tensors { writer.add(name, tensor.values, shape: tensor.shape) }
    try writer.write(to: directory.file("c.safetensors"))
    return directory.file("c.safetensors")
  }

  @Test func readsACapture() throws {
    let figure = try ActivationsFigure(capture: capture())
    #expect(
      figure.panel.points.map(\.kind) == [
        "same class", "different classes", "same class", "same class", "different classes",
      ])
    #expect(figure.panel.points.map(\.mixing) == [0.5, 0.1, 0.25, 0, 0])
    #expect(figure.panel.points[1].first == "b" && figure.panel.points[1].second == "c")
    #expect(figure.panel.points[0].probabilityFirst == 1 && figure.panel.points[2].probabilityFirst == 0.2)
    #expect(figure.panel.points[4].x == 0.00012346)
    // The means of the classes lie at distances 4, √(4 + 3.5²) twice; the rows reach 1.25 times the farthest.
    let (scale, rows) = figure.panel.scaledRows
    let expected = 1.25 * (4 + 3.5 * 3.5).squareRoot()
    #expect(abs(scale - expected) < 1e-4 && rows.map(\.name) == ["b", "c", "e"])
    #expect(abs(rows[0].x - expected) < 1e-4 && rows[0].y == 0)
  }

  @Test func bothAxesHaveOneScale() throws {
    let specification = try ActivationsFigure(capture: capture(), title: "mine").specification()
    guard case .object(let fields) = specification, case .array(let layers)? = fields["layer"] else {
      Issue.record("no layers")
      return
    }
    #expect(fields["width"] == fields["height"])
    var domains: Set<String> = []
    for layer in layers {
      guard case .object(let layer) = layer, case .object(let encoding)? = layer["encoding"] else { continue }
      for axis in ["x", "y"] {
        guard case .object(let channel)? = encoding[axis], case .object(let scale)? = channel["scale"] else {
          continue
        }
        domains.insert("\(scale["domain"]!)")
      }
    }
    #expect(domains.count == 1)
    guard case .object(let title)? = fields["title"] else { return }
    #expect(title["text"] == "mine")
  }

  static let damages: [(String, [Double], [Int], String)] = [
    ("projection", [1, 2], [1, 2], "tensor projection has shape [1, 2], expected [5, 2]"),
    ("lambda", [0, 0, .nan, 0, 0], [5], "tensor lambda has values that are not finite"),
    ("labels", [0, 1, 2, 3, 9], [5], "a label is not in 0 ..< 5"),
    ("labels", [0, 1, 2, 3, 1e300], [5], "tensor labels holds 1e+300, which is no whole number"),
    ("classes", [1, .nan, 2], [3], "tensor classes holds nan, which is no whole number"),
    ("classes", [1, 2], [2], "a capture of 2 classes; the projection draws three"),
  ]

  @Test(arguments: damages) func refuses(name: String, values: [Double], shape: [Int], words: String) throws {
    let path = try capture { $0[name] = (values, shape) }
    let problem = #expect(throws: Problem.self) { try ActivationsFigure(capture: path) }
    #expect(problem?.reason.contains(words) == true && problem?.subject == path)
    #expect(problem?.code == (words.contains("draws three") ? .notThreeClasses : .notACapture))
    #expect(problem?.reason.contains("c.safetensors") == true && problem?.reason.hasSuffix(".") == true)
  }

  @Test func refusesOtherFiles() throws {
    let path = try capture { $0["logits"] = nil }
    #expect { try ActivationsFigure(capture: path) } throws: {
      "\($0)".contains("holds no tensor named logits")
    }
    #expect { try ActivationsFigure(capture: directory.file("none")) } throws: {
      ($0 as? Problem)?.code == .missingCapture
    }
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    try data.prefix(data.count - 9).write(to: URL(fileURLWithPath: path))
    #expect { try ActivationsFigure(capture: path) } throws: { ($0 as? Problem)?.code == .notACapture }
  }

  @Test func significantDigits() {
    #expect(123456.0.rounded(digits: 3) == 123000 && 0.00123456.rounded(digits: 3) == 0.00123)
    #expect((-0.1).rounded(digits: 4) == -0.1 && 0.0.rounded(digits: 4) == 0)
  }

  @Test func documents() throws {
    struct Pair: Encodable {
      let a: Double
      let b: [String]
    }
    #expect(try JSONValue(encoding: Pair(a: 1.5, b: ["x"])) == ["a": 1.5, "b": ["x"]])
  }
}
