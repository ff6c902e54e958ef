import Problems
import Randomness
import Records
import Testing

@testable import Training

@Suite struct MixturePlanTests {
  static let labels = (0..<100).map { $0 % 5 }

  @Test(arguments: [0.0, 1.0 / 3, 0.5, 1]) func shares(share: Double) throws {
    var options = MixtureSampling()
    options.samples = 301
    options.batchSize = 100
    options.sameClassShare = share
    let plan = try MixturePlan(labels: Self.labels, classes: 5, options, RandomStream(seed: 4))
    #expect(plan.classes.count == 3 && plan.images.count == 301)
    #expect(
      plan.batches.map(\.count).allSatisfy { $0 == 75 || $0 == 76 } && plan.batches.last?.upperBound == 301)
    let pairs = zip(plan.images, plan.partners).map { (Self.labels[$0], Self.labels[$1]) }
    #expect(pairs.allSatisfy { plan.classes.contains($0.0) && plan.classes.contains($0.1) })
    #expect(abs(Double(pairs.count { $0.0 == $0.1 }) - share * 301) <= 0.5)
    // Every step has its part of them.
    for batch in plan.batches {
      let same = pairs[batch].count { $0.0 == $0.1 }
      #expect(abs(Double(same) - share * Double(batch.count)) <= 1)
    }
    let kinds = Set(pairs.map { [$0.0, $0.1] })
    #expect(kinds.count == (share == 1 ? 3 : share == 0 ? 6 : 9))
    #expect(plan.lambdas.allSatisfy { (0...1).contains($0) } && Set(plan.lambdas).count == 301)
  }

  @Test func choicesAndRefusals() throws {
    var options = MixtureSampling()
    options.samples = 50
    let plan = try MixturePlan(
      labels: Self.labels, classes: 5, chosen: [4, 1], options, RandomStream(seed: 1))
    #expect(plan.classes == [1, 4])
    options.lambdaPerSample = false
    #expect(
      try Set(MixturePlan(labels: Self.labels, classes: 5, options, RandomStream(seed: 1)).lambdas)
        .count == 1)
    options.classCount = 1
    #expect(throws: Problem.self) {
      try MixturePlan(labels: Self.labels, classes: 5, options, RandomStream(seed: 1))
    }
    options.classCount = 3
    for chosen in [[1], [1, 1], [0, 5], [-1, 2]] {
      #expect(throws: Problem.self) {
        try MixturePlan(
          labels: Self.labels, classes: 5, chosen: chosen, options, RandomStream(seed: 1))
      }
    }
    #expect {
      try MixturePlan(labels: [0, 1, 1], classes: 3, options, RandomStream(seed: 1))
    } throws: {
      "\($0)".contains("class 2 has no training image")
    }
  }

  @Test func trajectoryPlans() throws {
    let labels = (0..<60).map { $0 % 3 }
    var options = TrajectorySampling()
    options.pairs = 20
    options.lambdas = 5
    let plan = try TrajectoryPlan(
      labels: labels, classes: 3, chosen: [0, 2], options, RandomStream(seed: 1))
    #expect(plan.lambdas == [0, 0.25, 0.5, 0.75, 1])
    #expect(plan.images.count == 40 && plan.partners.count == 40)
    for pair in 0..<40 {
      let (a, b) = (labels[plan.images[pair]], labels[plan.partners[pair]])
      #expect((a == b) == (pair < 20) && a != 1 && b != 1)
      #expect(plan.images[pair] != plan.partners[pair])
    }
    #expect(throws: Problem.self) {
      try TrajectoryPlan(labels: [0, 1, 1], classes: 2, options, RandomStream(seed: 1))
    }
  }
}
