/// The kinds of captures, by what their files say they are.
public enum CaptureFormat: String, Sendable, CaseIterable {
  /// Mixtures of training images: features, logits, what was mixed.
  case mixtures = "collapse-capture"
  /// Training and test images as they are.
  case plain = "collapse-plain"
  /// The class token of mixtures after each layer.
  case trajectories = "collapse-trajectories"

  /// Since 2 they are sealed.
  public static let version = "2"
}

/// The arrays of activations, by their names in files: those that captures have, and those that a measurement takes.
public enum ActivationArray: String, Sendable, CaseIterable {
  /// n×d; of trajectories n×layers×d.
  case features
  /// Class of i, n.
  case labels
  /// n×C; of trajectories n×layers×C.
  case logits
  /// n×C, rows that sum to 1.
  case probabilities
  /// C×d.
  case classifier
  /// C.
  case bias
  /// Class of i′, n.
  case partnerLabels = "partner_labels"
  /// λ, the weight of i, n.
  case lambda
  /// The classes that a capture is of.
  case classes
  case testFeatures = "test_features"
  case testLabels = "test_labels"
  case testLogits = "test_logits"
  case testProbabilities = "test_probabilities"
  /// Features of another distribution, m×d.
  case foreignFeatures = "ood_features"
  /// Place of i in the data set's files, n.
  case imageIndices = "image_indices"
  /// Place of i′, n.
  case partnerIndices = "partner_indices"
  case testIndices = "test_indices"
  /// Points in the plane of three classifier rows, n×2; of trajectories n×layers×2.
  case projection
  /// The rows in that plane, 3×2.
  case classifierProjection = "classifier_projection"
  /// The class token before the last normalisation, n×layers×d.
  case classTokens = "class_tokens"
  /// Number of the pair of images that a mixture is of, n.
  case pairs

  /// Those that a measurement takes.
  public static let measured: [ActivationArray] = [
    .features, .labels, .logits, .probabilities, .classifier, .bias, .partnerLabels, .lambda, .classes,
    .testFeatures,
    .testLabels, .testLogits, .testProbabilities, .foreignFeatures,
  ]

  /// The name of an array of a layer: `features.3`.
  public func name(ofLayer layer: String) -> String { "\(rawValue).\(layer)" }
}

/// What a capture's file says of where it comes from, as text fields.
public enum CaptureField: String, Sendable {
  case format, version, dataset, seed, statistics, model, run, epoch, mixup, loss, optimizer, classifier
  case classNames = "class_names"
  case classNumbers = "class_numbers"
  /// The file of a network that was trained elsewhere.
  case network
  case pixelMean = "pixel_mean"
  case pixelDeviation = "pixel_deviation"
}
