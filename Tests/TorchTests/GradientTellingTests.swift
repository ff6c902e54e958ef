import Problems
import Testing
import Torch

/// Backward passes that tell of gradients while they go on.
@Suite struct GradientTellingTests {
  private let leaves = (1...3).map { Tensor([Float($0), 2]).requiringGradient() }

  /// A scalar of the first two leaves, the second of which is used twice.
  private var loss: Tensor { (leaves[0] * leaves[1] + leaves[1]).sum() }

  /// Each leaf that is reached is told of once, with its whole gradient, which can be taken away; the last that is used
  /// comes no later than the first.
  @Test func tells() throws {
    var told: [Int] = []
    var gradients: [[Float]] = []
    try loss.backward(telling: leaves) { leaf in
      told.append(leaf)
      gradients.append(try #require(leaves[leaf].gradient).array())
      try leaves[leaf].setGradient(nil)
    }
    #expect(told.sorted() == [0, 1])
    #expect(gradients[told.firstIndex(of: 0)!] == [2, 2] && gradients[told.firstIndex(of: 1)!] == [2, 3])
    #expect(leaves.allSatisfy { $0.gradient == nil })
  }

  /// What is thrown ends the pass and comes out as it is, and nobody is told any more.
  @Test func passesErrorsOn() throws {
    let thrown = TorchError(operation: "send", reason: "rank 3 is gone", code: .lostWorker)
    var count = 0
    let error = #expect(throws: TorchError.self) {
      try loss.backward(telling: leaves) { _ in
        count += 1
        throw thrown
      }
    }
    #expect(error == thrown && count == 1)
    try loss.backward()
    #expect(count == 1)
  }

  /// An operator that fails is said as in any backward pass.
  @Test func failingOperators() throws {
    let failing = differentiable([leaves[0]]) {
      [leaves[0] * 2]
    } backward: { _ in
      throw TorchError(operation: "own", reason: "it had to be")
    }
    let error = #expect(throws: TorchError.self) {
      try (failing[0].sum() + leaves[1].sum()).backward(telling: leaves) { _ in }
    }
    #expect(error?.operation == "backward" && error?.reason.contains("it had to be") == true)
  }

  @Test func freesEverything() throws {
    try loss.backward(telling: leaves) { _ in }
    let before = Engine.liveTensorCount
    for _ in 0..<3 {
      try loss.backward(telling: leaves) { _ in }
      try? loss.backward(telling: leaves) { _ in throw TorchError(operation: "", reason: "") }
    }
    #expect(Engine.liveTensorCount == before)
  }
}
