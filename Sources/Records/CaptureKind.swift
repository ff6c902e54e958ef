/// What a capture takes: mixtures, images as they are, or class tokens on their way.
public enum CaptureKind: Codable, Sendable, Equatable {
  case mixtures(MixtureSampling)
  case plain(PlainSampling)
  case trajectories(TrajectorySampling)

  /// What its file says that it is.
  public var format: CaptureFormat {
    switch self {
    case .mixtures: .mixtures
    case .plain: .plain
    case .trajectories: .trajectories
    }
  }
}

/// Mixed training images (section 3 of the paper and its appendix B.2).
public struct MixtureSampling: Codable, Sendable, Equatable {
  /// Classes to draw at random; 0: all.
  public var classCount = 3
  /// Number of mixtures.
  public var samples = 3000
  /// Share of the samples whose two images are of one class; with three classes a third is what chance would give.
  public var sameClassShare = 1.0 / 3
  /// λ ~ Beta(α, α).
  public var alpha = 1.0
  /// Whether each mixture has its own λ; otherwise those of a step share one.
  public var lambdaPerSample = true
  /// Whether batch norm normalises with the batch's statistics, "in train mode" as in the paper, or with the running
  /// ones.
  public var usesBatchStatistics = true
  /// Images a step; batch statistics depend on it.
  public var batchSize = 500

  /// The paper's, of three classes.
  public init() {}
}

/// Training and test images as they are.
public struct PlainSampling: Codable, Sendable, Equatable {
  /// At most so many of each, drawn by the seed; 0: all.
  public var samples = 0
  /// Whether to keep the features after every layer, too.
  public var layers = false
  /// Whether batch norm normalises with the batch's statistics or with the running ones.
  public var usesBatchStatistics = false
  /// Images a step.
  public var batchSize = 250

  /// All images, in evaluation mode.
  public init() {}
}

/// Mixtures whose class token is followed through a transformer's layers.
public struct TrajectorySampling: Codable, Sendable, Equatable {
  /// Pairs of images of each kind: of one class, and of two.
  public var pairs = 50
  /// Values of λ, evenly spaced from 0 to 1.
  public var lambdas = 11
  /// Classes to draw at random; 0: all.
  public var classCount = 3

  /// The defaults.
  public init() {}
}
