import Datasets
import Experiment
import Geometry
import Models
import NN
import Randomness
import Torch

/// Which training images a capture mixes, and how.
public struct CapturePlan: Sendable, Equatable {
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
  ///   - chosen: classes to take; empty draws as many as the options say.
  /// - Throws: `Failure` for classes that don't exist or have no images.
  public init(
    labels: [Int], classes: Int, chosen: [Int] = [], options: Configuration.Capture,
    _ stream: RandomStream
  ) throws {
    var pairStream = stream.split("pairs")
    var lambdaStream = stream.split("lambda")
    self.classes = try Self.classes(chosen, count: options.classCount, of: classes, stream)
    let members = self.classes.map { label in labels.indices.filter { labels[$0] == label } }
    if let empty = members.firstIndex(where: \.isEmpty) {
      throw Failure(.usage, "class \(self.classes[empty]) has no training image to capture.")
    }

    let count = options.samples
    let steps = (count + options.batchSize - 1) / options.batchSize
    batches = (0..<steps).map { count * $0 / steps..<count * ($0 + 1) / steps }
    let sameClass = Int((options.sameClassShare * Double(count)).rounded())
    for batch in batches {
      let shared = lambdaStream.nextBeta(options.alpha)
      for index in batch {
        // Bresenham's rule spreads the same-class pairs evenly.
        let isSameClass = sameClass * (index + 1) / count > sameClass * index / count
        let first = pairStream.nextInt(below: members.count)
        let offset = isSameClass ? 0 : 1 + pairStream.nextInt(below: members.count - 1)
        let second = (first + offset) % members.count
        images.append(members[first][pairStream.nextInt(below: members[first].count)])
        partners.append(members[second][pairStream.nextInt(below: members[second].count)])
        lambdas.append(options.lambda == .sample ? lambdaStream.nextBeta(options.alpha) : shared)
      }
    }
  }
}

extension CapturePlan {
  /// The classes to capture, ascending: those that were chosen, or else so many at random.
  ///
  /// - Parameters:
  ///   - count: how many to draw; 0: all.
  ///   - classes: how many there are.
  /// - Throws: `Failure` for fewer than two, or one twice.
  static func classes(_ chosen: [Int], count: Int, of classes: Int, _ stream: RandomStream) throws -> [Int] {
    guard chosen.allSatisfy({ (0..<classes).contains($0) }), chosen.isEmpty || chosen.count >= 2,
      Set(chosen).count == chosen.count
    else {
      throw Failure(.usage, "classes \(chosen) can't be captured: two or more different ones can.")
    }
    guard chosen.isEmpty else { return chosen.sorted() }
    var stream = stream.split("classes")
    return stream.nextSubset(count == 0 ? classes : min(count, classes), below: classes)
  }
}

/// Last-layer activations of mixed training images, and what they were made from.
public struct Capture: Sendable {
  /// What was mixed.
  public let plan: CapturePlan
  /// n×d, `float32`.
  public let features: Tensor
  /// n×C, `float32`.
  public let logits: Tensor
  /// C×d, `float32`.
  public let classifier: Tensor
  /// C, or nil.
  public let bias: Tensor?
  /// Class of i, one a sample.
  public let labels: [Int]
  /// Class of i′, one a sample.
  public let partnerLabels: [Int]
  /// Place of i in the whole data set's training images, one a sample.
  public let imagePlaces: [Int]
  /// Place of i′ in the whole data set's training images, one a sample.
  public let partnerPlaces: [Int]

  /// Pushes the plan's mixtures through a network, without augmentation.
  ///
  /// Weights, running statistics and random streams stay as they are.
  public init(_ plan: CapturePlan, _ setup: Setup, statistics: Configuration.Capture.Statistics) throws {
    self.plan = plan
    let training = setup.dataset.training
    let model = setup.model
    func images(_ indices: ArraySlice<Int>) -> Tensor {
      setup.dataset.normalization(
        training.images.indexSelected(Tensor(Array(indices), device: setup.device)))
    }
    let outputs = try checkingErrors {
      withoutGradients {
        plan.batches.map { batch in
          let mixing = MixingPlan(lambdas: Array(plan.lambdas[batch]), partners: [])
          let mixed = mixing.mix(images(plan.images[batch]), with: images(plan.partners[batch]))
          return model(mixed.to(setup.dtype), statistics == .batch ? .batch : .running)
        }
      }
    }
    features = try Self.joined(outputs.map(\.features), "features")
    logits = try Self.joined(outputs.map(\.logits), "logits")
    classifier = try model.classifier.detached().to(.cpu).clone().checked()
    bias = try model.bias?.detached().to(.cpu).clone().checked()
    labels = plan.images.map { training.labels[$0] }
    partnerLabels = plan.partners.map { training.labels[$0] }
    imagePlaces = plan.images.map { training.places[$0] }
    partnerPlaces = plan.partners.map { training.places[$0] }
  }

  /// Rows of all steps, `float32` on the CPU.
  ///
  /// - Throws: `Failure` for numbers that are not finite.
  static func joined(_ parts: [Tensor], _ name: String) throws -> Tensor {
    let rows = try Tensor.concatenated(parts).to(.float32).to(.cpu).checked()
    guard try rows.isFinite().all().item() == 1 else {
      throw Failure(
        .badData, "the network gives \(name) that are not finite numbers.",
        remedies: ["Are all of its weights finite, and the images normalised as in its training?"])
    }
    return rows
  }

  /// Same-class samples of each class.
  public var sameClassCounts: [Int] {
    var counts = [Int](repeating: 0, count: classifier.shape[0])
    for (label, partner) in zip(labels, partnerLabels) where label == partner { counts[label] += 1 }
    return counts
  }

  /// Agreement of same-class means with the classifier, for a capture of all classes.
  public func sameClassAlignment() throws -> SameClassAlignment {
    let same = labels.indices.filter { labels[$0] == partnerLabels[$0] }
    return try SameClassAlignment(
      features: features.indexSelected(Tensor(same)), labels: same.map { labels[$0] }, classifier: classifier)
  }

  /// As a file has it: with the projected points where three classes were captured.
  public func archive(metadata: [String: String]) throws -> TensorArchive {
    var archive = TensorArchive(
      [
        "features": features, "logits": logits, "classifier": classifier,
        "labels": Tensor(labels), "partner_labels": Tensor(partnerLabels), "lambda": Tensor(plan.lambdas),
        "image_indices": Tensor(imagePlaces), "partner_indices": Tensor(partnerPlaces),
        "classes": Tensor(plan.classes),
      ], metadata: metadata)
    archive.tensors["bias"] = bias
    if plan.classes.count == 3 {
      let rows = classifier.indexSelected(Tensor(plan.classes))
      let projection = try Projection(classifier: rows)
      archive.tensors["projection"] = try projection.centred(features)
      archive.tensors["classifier_projection"] = try projection(rows)
    }
    return archive
  }
}
