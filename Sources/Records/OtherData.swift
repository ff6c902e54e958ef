/// What a run's network does on other images than its own: what `collapse evaluate --data` gives.
public struct OtherDataReport: Document {
  public static let fileName = "other-data.json"
  public static let kind = "an evaluation on other data"

  /// Where the images are.
  public var data: String
  /// The run's own test images.
  public var own: Evaluation
  /// Other images of the same classes, in order; empty for images of others.
  public var sets: [Set] = []
  /// How well images of none of the network's classes are told from the run's test images; nil for images of its classes.
  public var detection: [Detection]?
  /// What a reader of the numbers should know.
  public var notes: [String] = []

  /// To be filled in.
  public init(data: String, own: Evaluation) {
    self.data = data
    self.own = own
  }

  /// Images that were evaluated together.
  public struct Set: Codable, Sendable {
    /// Name of the set, such as that of a corruption.
    public var name: String
    /// 1 to 5; nil for sets that come in one severity.
    public var severity: Int?
    /// Number of images.
    public var images: Int
    public var evaluation: Evaluation

    /// A set's numbers.
    public init(name: String, severity: Int?, images: Int, evaluation: Evaluation) {
      self.name = name
      self.severity = severity
      self.images = images
      self.evaluation = evaluation
    }
  }

  /// How well a score tells images apart.
  public struct Detection: Codable, Sendable {
    /// `confidence`, the largest probability; `energy`, log Σ_c exp z_c; or `distance`, the negative distance of the features
    /// to the nearest class mean of the training images'.
    public var score: String
    /// Images of none of the network's classes.
    public var images: Int
    /// Probability that one of the run's test images has a higher score than a foreign one; ties count half.
    public var auroc: Double
    /// Share of foreign images whose score is not below that which 95 % of the run's test images reach.
    public var fpr95: Double

    /// A score's numbers.
    public init(score: String, images: Int, auroc: Double, fpr95: Double) {
      self.score = score
      self.images = images
      self.auroc = auroc
      self.fpr95 = fpr95
    }
  }
}
