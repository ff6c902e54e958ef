import Foundation
import Problems
import Testing
import Torch

@testable import NN

@Suite struct SGDTests {
  @Test(arguments: [("sgd", false), ("nesterov", true)], Device.kinds)
  func followsPyTorch(kind: (name: String, nesterov: Bool), device: Device) throws {
    let (name, nesterov) = kind
    let path = Bundle.module.path(forResource: "Fixtures/optimizers", ofType: "safetensors")!
    let stored = try TensorArchive(path: path).tensors
    let variables = try Variables(seed: 0, device: device)
    let parameters = ["p0", "p1"].map {
      variables.root.parameter($0, stored["\(name).\(String($0)).start"]!.shape, .constant(0))
    }
    try variables.load([
      "p0": stored["\(name).p0.start"]!, "p1": stored["\(name).p1.start"]!,
    ])
    let steps = (0..<9).filter { stored["\(name).p0.\($0)"] != nil }
    #expect(steps.count == 5)
    let optimizer = SGD(variables, momentum: 0.9, weightDecay: 1e-2, nesterov: nesterov)
    var resumed: SGD?
    for step in steps {
      for (index, parameter) in parameters.enumerated() {
        try parameter.setGradient(stored["\(name).g\(index).\(step)"]!.to(device).clone())
      }
      try (resumed ?? optimizer).step(learningRate: 0.1)
      for (index, parameter) in parameters.enumerated() {
        let expected = try stored["\(name).p\(index).\(step)"]!.array(Double.self)
        let found = try parameter.array(Double.self)
        #expect(zip(expected, found).allSatisfy { abs($0 - $1) < 1e-6 })
        #expect(parameter.gradient == nil)
      }
      if step == steps[2] {
        // Going on from stored velocities changes nothing.
        resumed = SGD(variables, momentum: 0.9, weightDecay: 1e-2, nesterov: nesterov)
        try resumed!.load(optimizer.state())
      }
    }
  }

  @Test func channelsLastParametersAreUpdatedElementByElement() throws {
    let variables = try Variables(seed: 0)
    let weight = variables.root.parameter("w", [2, 3, 2, 2], .normal(standardDeviation: 1), .channelsLast)
    let start = try weight.array(Double.self)
    let direction = Tensor.range(24).to(.float32).reshaped([2, 3, 2, 2])
    let optimizer = SGD(variables, momentum: 0.9, weightDecay: 0)
    for _ in 0..<2 {
      try (weight * direction).sum().backward()
      try optimizer.step(learningRate: 1)
    }
    // Velocities g and 1.9 g.
    let expected = start.enumerated().map { $1 - 2.9 * Double($0) }
    #expect(zip(expected, try weight.array(Double.self)).allSatisfy { abs($0 - $1) < 1e-4 })
  }

  @Test func missingGradientIsNamed() throws {
    let variables = try Variables(seed: 0)
    _ = variables.root.parameter("lonely", [2], .constant(0))
    #expect {
      try SGD(variables, momentum: 0.9, weightDecay: 0).step(learningRate: 1)
    } throws: { "\($0)".contains("lonely") }
  }
}

@Suite struct AdamTests {
  static let cases: [(name: String, decay: Adam.Decay, limit: Double?)] = [
    ("adam", .coupled, nil), ("adamw", .decoupled, nil), ("clipped", .decoupled, 0.7),
  ]

  @Test(arguments: cases.indices, Device.kinds) func followsPyTorch(index: Int, device: Device) throws {
    let (name, decay, limit) = Self.cases[index]
    let path = Bundle.module.path(forResource: "Fixtures/adam", ofType: "safetensors")!
    let stored = try TensorArchive(path: path).tensors
    let variables = try Variables(seed: 0, device: device)
    let parameters = ["p0", "p1"].map {
      variables.root.parameter($0, stored["\(name).\(String($0)).start"]!.shape, .constant(0))
    }
    try variables.load(["p0": stored["\(name).p0.start"]!, "p1": stored["\(name).p1.start"]!])
    func make() -> Adam {
      Adam(variables, betas: (0.8, 0.95), epsilon: 1e-6, weightDecay: 0.1, decay: decay, gradientLimit: limit)
    }
    var optimizer = make()
    #expect(optimizer.state().isEmpty)
    for step in 0..<5 {
      for (index, parameter) in parameters.enumerated() {
        try parameter.setGradient(stored["\(name).g\(index).\(step)"]!.to(device).clone())
      }
      try optimizer.step(learningRate: 0.01)
      for (index, parameter) in parameters.enumerated() {
        let expected = try stored["\(name).p\(index).\(step)"]!.array(Double.self)
        #expect(zip(expected, try parameter.array(Double.self)).allSatisfy { abs($0 - $1) < 2e-6 })
        #expect(parameter.gradient == nil)
      }
      // Going on from a stored state changes nothing.
      let state = optimizer.state()
      optimizer = make()
      try optimizer.load(state)
    }
  }

  @Test func refusesOtherStates() throws {
    let variables = try Variables(seed: 0)
    let weight = variables.root.parameter("w", [2], .constant(1))
    let adam = Adam(variables, weightDecay: 0, decay: .coupled)
    try weight.setGradient(.ones([2]))
    try adam.step(learningRate: 0.1)
    let state = adam.state()
    for (key, words) in [
      ("step", "step: expected the number of steps done"),
      ("second_moment/w", "w: expected a second moment of shape [2], found nothing"),
    ] {
      var damaged = state
      damaged[key] = nil
      #expect { try adam.load(damaged) } throws: {
        ($0 as? Problem)?.code == .unfitWeights && "\($0)".contains(words)
      }
    }
    #expect(throws: Problem.self) { try adam.load(["velocity/w": .ones([2])]) }
  }

  @Test func missingGradientIsNamed() throws {
    let variables = try Variables(seed: 0)
    _ = variables.root.parameter("lonely", [2], .constant(0))
    #expect {
      try Adam(variables, weightDecay: 0, decay: .coupled).step(learningRate: 1)
    } throws: { "\($0)".contains("lonely") }
  }
}

@Suite struct ScheduleTests {
  @Test func stepsAtMilestones() {
    let schedule = Schedule.step(milestones: [0.3, 0.5, 0.9], factor: 0.1)
    let factors = (0..<10).map { schedule.factor(epoch: $0, step: 3, epochs: 10, stepsPerEpoch: 5) }
    let expected = [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001]
    #expect(zip(factors, expected).allSatisfy { abs($0 - $1) < 1e-12 })
  }

  @Test func cosineWithWarmup() {
    let schedule = Schedule.cosine(warmupEpochs: 2)
    func factor(_ epoch: Int, _ step: Int) -> Double {
      schedule.factor(epoch: epoch, step: step, epochs: 10, stepsPerEpoch: 5)
    }
    #expect(abs(factor(0, 0) - 0.1) < 1e-12)
    #expect(abs(factor(1, 4) - 1) < 1e-12)
    #expect(abs(factor(2, 0) - 1) < 1e-12)
    #expect(abs(factor(6, 0) - 0.5) < 1e-12)
    #expect(factor(9, 4) < 0.01)
  }
}
