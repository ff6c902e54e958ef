import Datasets
import Experiment
import Geometry
import Models
import Randomness
import Torch

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
  ///   - classes: to draw from, two or more.
  /// - Throws: `Failure` for counts that are too small and classes with fewer than two images.
  public init(labels: [Int], classes: [Int], options: CaptureRequest.Trajectories, _ stream: RandomStream)
    throws
  {
    guard options.pairs >= 1, options.lambdas >= 2, classes.count >= 2 else {
      throw Failure(
        .usage, "trajectories need at least one pair, two values of λ and two classes.",
        remedies: ["found \(options.pairs) pairs, \(options.lambdas) values and \(classes.count) classes"])
    }
    let members = classes.map { label in labels.indices.filter { labels[$0] == label } }
    if let short = members.firstIndex(where: { $0.count < 2 }) {
      throw Failure(.usage, "class \(classes[short]) has fewer than two training images to mix.")
    }
    var stream = stream.split("trajectories")
    var (images, partners): ([Int], [Int]) = ([], [])
    for kind in 0..<2 {
      for pair in 0..<options.pairs {
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
    let steps = options.lambdas - 1
    lambdas = (0...steps).map { Double($0) / Double(steps) }
  }
}

/// The class token of mixed training images on its way through a transformer (section 2.4 of the paper).
public struct Trajectories: Sendable {
  /// What was mixed; sample n is pair n / L at λ number n mod L, of L.
  public let plan: TrajectoryPlan
  /// n×(layers + 1)×d: the class token after the embedding and after each block.
  public let classTokens: Tensor
  /// n×(layers + 1)×d: the same after the network's last normalisation, which makes the last of them
  /// the feature that the classifier multiplies.
  public let features: Tensor
  /// n×(layers + 1)×C: what the classifier makes of each.
  public let logits: Tensor
  /// C×d.
  public let classifier: Tensor
  /// Class of i, one a sample.
  public let labels: [Int]
  /// Class of i′, one a sample.
  public let partnerLabels: [Int]

  /// Pushes the plan's mixtures through a network, without augmentation; nothing of it is changed.
  ///
  /// - Throws: `Failure` for a network that has no class token.
  public init(_ plan: TrajectoryPlan, _ setup: Setup) throws {
    guard let model = setup.model as? VisionTransformer else {
      throw Failure(
        .usage, "\(setup.configuration.model.name) has no class token to follow through its layers.",
        remedies: ["Networks that have one: vit-ti-4, vit-s-4, vit-b-4."])
    }
    self.plan = plan
    let training = setup.dataset.training
    let count = plan.lambdas.count
    func image(_ place: Int) -> Tensor {
      setup.dataset.normalization(training.images.narrowed(place..<place + 1))
    }
    let parts = try checkingErrors {
      withoutGradients {
        zip(plan.images, plan.partners).map { i, partner in
          let shape =
            [count] + [training.images.shape[3], training.images.shape[1], training.images.shape[2]]
          let mixing = MixingPlan(lambdas: plan.lambdas, partners: [])
          let mixed = mixing.mix(image(i).expanded(shape), with: image(partner).expanded(shape))
          let tokens = model.trajectory(mixed.to(setup.dtype)).classTokens
          let read = tokens.map(model.readout)
          func joined(_ tensors: [Tensor]) -> Tensor { Tensor.stacked(tensors, dimension: 1).to(.cpu) }
          return (joined(tokens), joined(read.map(\.features)), joined(read.map(\.logits)))
        }
      }
    }
    classTokens = try Tensor.concatenated(parts.map(\.0)).checked()
    features = try Tensor.concatenated(parts.map(\.1)).checked()
    logits = try Tensor.concatenated(parts.map(\.2)).checked()
    classifier = try model.classifier.detached().to(.cpu).clone().checked()
    labels = plan.images.flatMap { [Int](repeating: training.labels[$0], count: count) }
    partnerLabels = plan.partners.flatMap { [Int](repeating: training.labels[$0], count: count) }
  }
}

extension Trajectories {
  /// As a file has it: where three classes were captured, with the features drawn in their plane.
  public func archive(metadata: [String: String]) throws -> TensorArchive {
    let pairs = plan.lambdas.count
    var archive = TensorArchive(
      [
        "class_tokens": classTokens, "features": features, "logits": logits, "classifier": classifier,
        "labels": Tensor(labels), "partner_labels": Tensor(partnerLabels),
        "lambda": Tensor((0..<labels.count).map { plan.lambdas[$0 % pairs] }),
        "pairs": Tensor((0..<labels.count).map { $0 / pairs }), "classes": Tensor(plan.classes),
      ], metadata: metadata)
    if plan.classes.count == 3 {
      let rows = classifier.indexSelected(Tensor(plan.classes))
      let projection = try Projection(classifier: rows)
      // What the token is before it has seen an image is the same for all, and becomes the origin.
      archive.tensors["projection"] = try projection(features - features.narrowed(0..<1, dimension: 1))
      archive.tensors["classifier_projection"] = try projection(rows)
    }
    return archive
  }
}
