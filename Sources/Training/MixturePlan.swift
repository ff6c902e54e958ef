import Problems
import Randomness
import Records

/// Which training images a capture mixes, and how.
public struct MixturePlan: Sendable, Equatable {
  /// Classes that the pairs are drawn from.
  public let classes: [Int]
  /// i, as positions in the training set.
  public private(set) var images: [Int] = []
  /// i′, as positions in the training set.
  public private(set) var partners: [Int] = []
  /// λ, the weight of i.
  public private(set) var lambdas: [Double] = []
  /// Samples of each step.
  public let batches: [Range<Int>]

  /// Draws a plan (section 3 of the paper and its appendix B.2).
  ///
  /// A given share of the pairs is of one class, the others of two; pairs of both kinds are spread
  /// evenly over the steps, since batch statistics depend on what is in a batch.
  ///
  /// - Parameters:
  ///   - labels: class of each training image.
  ///   - classes: how many there are.
  ///   - chosen: classes to take; empty draws as many as `sampling` says.
  ///   - sampling: how many of which kind.
  ///   - stream: that pairs and λ are drawn from.
  /// - Throws: `Problem` for classes that don't exist or have no images.
  public init(
    labels: [Int], classes: Int, chosen: [Int] = [], _ sampling: MixtureSampling, _ stream: RandomStream
  ) throws {
    var pairStream = stream.split("pairs")
    var lambdaStream = stream.split("lambda")
    self.classes = try Self.classes(chosen, count: sampling.classCount, of: classes, stream)
    guard self.classes.count >= 2, sampling.samples >= 1, sampling.batchSize >= 1 else {
      throw Problem(
        .badSetting, "mixtures",
        "mixtures need two classes, one sample and batches of one; found \(self.classes.count) classes, "
          + "\(sampling.samples) samples and batches of \(sampling.batchSize).")
    }
    let members = self.classes.map { label in labels.indices.filter { labels[$0] == label } }
    if let empty = members.firstIndex(where: \.isEmpty) {
      throw Problem(
        .badSetting, "\(self.classes[empty])",
        "class \(self.classes[empty]) has no training image to capture.")
    }

    let count = sampling.samples
    let steps = (count + sampling.batchSize - 1) / sampling.batchSize
    batches = (0..<steps).map { count * $0 / steps..<count * ($0 + 1) / steps }
    let sameClass = Int((sampling.sameClassShare * Double(count)).rounded())
    for batch in batches {
      let shared = lambdaStream.nextBeta(sampling.alpha)
      for index in batch {
        // Bresenham's rule spreads the same-class pairs evenly.
        let isSameClass = sameClass * (index + 1) / count > sameClass * index / count
        let first = pairStream.nextInt(below: members.count)
        let offset = isSameClass ? 0 : 1 + pairStream.nextInt(below: members.count - 1)
        let second = (first + offset) % members.count
        images.append(members[first][pairStream.nextInt(below: members[first].count)])
        partners.append(members[second][pairStream.nextInt(below: members[second].count)])
        lambdas.append(sampling.lambdaPerSample ? lambdaStream.nextBeta(sampling.alpha) : shared)
      }
    }
  }

  /// The classes to capture, ascending: those that were chosen, or else so many at random.
  ///
  /// - Parameters:
  ///   - count: how many to draw; 0: all.
  ///   - classes: how many there are.
  /// - Throws: `Problem` for fewer than two, or one twice.
  static func classes(_ chosen: [Int], count: Int, of classes: Int, _ stream: RandomStream) throws -> [Int] {
    guard chosen.allSatisfy({ (0..<classes).contains($0) }), chosen.isEmpty || chosen.count >= 2,
      Set(chosen).count == chosen.count
    else {
      throw Problem(
        .badSetting, "\(chosen)", "classes \(chosen) can't be captured: two or more different ones can.")
    }
    guard chosen.isEmpty else { return chosen.sorted() }
    var stream = stream.split("classes")
    return stream.nextSubset(count == 0 ? classes : min(count, classes), below: classes)
  }
}

extension MixturePlan {
  /// Given mixtures, in one step.
  ///
  /// - Precondition: there are as many of each.
  public init(images: [Int], partners: [Int], lambdas: [Double]) {
    precondition(images.count == partners.count && images.count == lambdas.count)
    classes = []
    (self.images, self.partners, self.lambdas) = (images, partners, lambdas)
    batches = [0..<images.count]
  }

  /// Every pair of a plan of trajectories at every λ of its grid: sample n is pair n / L at λ number n mod L, of L.
  init(_ plan: TrajectoryPlan) {
    let count = plan.lambdas.count
    classes = plan.classes
    images = plan.images.flatMap { [Int](repeating: $0, count: count) }
    partners = plan.partners.flatMap { [Int](repeating: $0, count: count) }
    lambdas = plan.images.flatMap { _ in plan.lambdas }
    batches = plan.images.indices.map { $0 * count..<($0 + 1) * count }
  }
}

/// Which pairs of training images a capture of trajectories mixes: each at every λ of a grid.
public struct TrajectoryPlan: Sendable, Equatable {
  /// Classes that the pairs are drawn from.
  public let classes: [Int]
  /// i of each pair, as positions in the training set: first the same-class pairs, then the others.
  public let images: [Int]
  /// i′ of each pair.
  public let partners: [Int]
  /// The grid.
  public let lambdas: [Double]

  /// Draws pairs of different images.
  ///
  /// - Parameters:
  ///   - labels: class of each training image.
  ///   - classes: how many there are.
  ///   - chosen: classes to take, two or more; empty draws as many as `sampling` says.
  ///   - sampling: how many.
  ///   - stream: that pairs are drawn from.
  /// - Throws: `Problem` for counts that are too small and classes with fewer than two images.
  public init(
    labels: [Int], classes: Int, chosen: [Int] = [], _ sampling: TrajectorySampling, _ stream: RandomStream
  ) throws {
    let classes = try MixturePlan.classes(chosen, count: sampling.classCount, of: classes, stream)
    guard sampling.pairs >= 1, sampling.lambdas >= 2, classes.count >= 2 else {
      throw Problem(
        .badSetting, "trajectories",
        "trajectories need at least one pair, two values of λ and two classes.",
        choices: ["found \(sampling.pairs) pairs, \(sampling.lambdas) values and \(classes.count) classes"])
    }
    let members = classes.map { label in labels.indices.filter { labels[$0] == label } }
    if let short = members.firstIndex(where: { $0.count < 2 }) {
      throw Problem(
        .badSetting, "\(classes[short])",
        "class \(classes[short]) has fewer than two training images to mix.")
    }
    var stream = stream.split("trajectories")
    var (images, partners): ([Int], [Int]) = ([], [])
    for kind in 0..<2 {
      for pair in 0..<sampling.pairs {
        // The classes take turns, so that a few pairs show as many as they can.
        let first = pair % classes.count
        let second =
          kind == 0 ? first : (first + 1 + stream.nextInt(below: classes.count - 1)) % classes.count
        let image = members[first][stream.nextInt(below: members[first].count)]
        var partner = image
        while partner == image { partner = members[second][stream.nextInt(below: members[second].count)] }
        images.append(image)
        partners.append(partner)
      }
    }
    self.classes = classes
    self.images = images
    self.partners = partners
    let steps = sampling.lambdas - 1
    lambdas = (0...steps).map { Double($0) / Double(steps) }
  }
}
