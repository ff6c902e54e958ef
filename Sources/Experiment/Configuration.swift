import Problems
import Records

/// A choice by name in a configuration; a wrong one is refused with the nearest right one.
public protocol ConfigurationChoice: RawRepresentable, CaseIterable, Codable, Sendable
where RawValue == String {}

extension ConfigurationChoice {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let value = Self(rawValue: text) else {
      throw Problem(text, at: decoder.codingPath, isNoneOf: Self.allCases.map(\.rawValue))
    }
    self = value
  }
}

extension Problem {
  /// A value of a key that is none of those that it may have.
  init(_ text: String, at path: [any CodingKey], isNoneOf names: [String]) {
    let key = path.map(\.stringValue).joined(separator: ".")
    self.init(
      .badSetting, key,
      "\(key) cannot be \"\(text)\": it is one of \(names.joined(separator: ", "))."
        + suggestion(for: text, among: names))
  }
}

/// Everything that determines a run. Its YAML form has these keys in snake_case.
///
/// Every choice that the paper leaves open is a field here, never a buried constant.
public struct Configuration: Codable, Sendable, Equatable {
  /// Name of the experiment; the run's directory is called after it.
  public var name = "run"
  /// Determines every random number of the run.
  public var seed = 0
  /// `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:N`.
  public var device = "auto"
  public var precision = Precision.auto
  /// Threads an operator may use; 0: as many as there are cores.
  public var threads = 0
  public var data = Data()
  public var model = Model()
  public var loss = Loss.crossEntropy
  /// Share of each target that is spread evenly over all classes (Szegedy et al., CVPR 2016); 0: none.
  public var labelSmoothing = 0.0
  public var mixup = Mixup()
  public var optimizer = Optimizer()
  public var schedule = Schedule()
  /// Passes over the training images.
  public var epochs = 20
  /// Images a step.
  public var batchSize = 128
  /// Parts of a batch that go through the network one after another, or on several workers, their gradients being
  /// added up: less memory for the same step, but for batch statistics, which are a part's. With 1, several workers
  /// take one part each.
  public var gradientAccumulation = 1
  public var batchNorm = BatchNorm.parts
  public var gradientSums = GradientSums.fp32
  public var evaluation = Evaluation()
  public var metrics = Metrics()
  public var checkpoint = Checkpoint()
  public var capture = Capture()
  public var engine = Engine()

  /// The defaults.
  public init() {}

  /// Which images batch norm takes the statistics of in training.
  public enum BatchNorm: String, ConfigurationChoice {
    /// Each part's own: the bits are the same for any number of workers.
    case parts
    /// The whole batch's, which the workers exchange (synchronised batch norm).
    case whole
  }

  /// In which type gradients of a batch's parts are added, and sent between workers.
  public enum GradientSums: String, ConfigurationChoice {
    case fp32
    /// Half as much to send, and rounded.
    case bf16
  }

  /// Type of activations and matrix products; master weights, statistics and losses are float32.
  public enum Precision: String, ConfigurationChoice {
    /// `bf16` where the processor computes it directly, else `fp32`.
    case auto
    case fp32, bf16
  }

  /// The network.
  public struct Model: Codable, Sendable, Equatable {
    /// A name of the model registry, such as "wrn-16-2".
    public var name = "wrn-16-2"
    public var classifier = Classifier.learned
    /// For `simplex-etf`: m, the norm of each row of W.
    public var multiplier = 1.0

    /// A network with a learned classifier.
    public init(name: String = "wrn-16-2") { self.name = name }

    /// The linear map from features to logits.
    public enum Classifier: String, ConfigurationChoice {
      /// Trained, with a bias.
      case learned
      /// Fixed to a simplex ETF in a random frame, without a bias (section 3.2 of the paper, Figure 7).
      case simplexETF = "simplex-etf"
    }
  }

  /// The loss between logits and mixed one-hot targets.
  public enum Loss: String, ConfigurationChoice {
    case crossEntropy = "cross-entropy"
    /// Sum over classes, mean over the batch.
    case meanSquaredError = "mse"
  }

  /// λ x_i + (1−λ) x_i′ with λ ~ Beta(α, α) (Zhang et al., ICLR 2018).
  public struct Mixup: Codable, Sendable, Equatable {
    /// Off for the baseline.
    public var enabled = true
    public var kind = Kind.mixup
    public var alpha = 1.0
    /// How often λ is drawn.
    public var lambda = LambdaScope.batch
    /// For `manifold`: the layers whose outputs may be mixed, one of which is drawn each step. 0 is the
    /// image; the others are the groups of blocks of a WideResNet, the blocks of a transformer.
    public var layers = [0, 1, 2]

    /// How two training images become one; captures blend whatever the kind.
    public enum Kind: String, ConfigurationChoice {
      case mixup
      /// A blend of what a layer gives for the two (Verma et al., ICML 2019).
      case manifold
      /// A box of one in the other (Yun et al., ICCV 2019), of the share 1−λ.
      case cutmix
    }
  }

  /// Whether a batch shares one λ or each sample has its own.
  public enum LambdaScope: String, ConfigurationChoice {
    case batch, sample
  }

  /// How parameters follow their gradients.
  public struct Optimizer: Codable, Sendable, Equatable {
    public var kind = Kind.sgd
    public var learningRate = 0.1
    /// Coefficient of ½‖θ‖² in the loss; with `adamw`, of the parameter in the step.
    public var weightDecay = 1e-4
    /// For `sgd`.
    public var momentum = 0.9
    public var nesterov = false
    /// For `adam` and `adamw`: decay rates of the averages of gradients and of their squares.
    public var beta1 = 0.9
    public var beta2 = 0.999
    public var epsilon = 1e-8
    /// The most that the norm of all gradients may be; 0 leaves them as they are.
    public var gradientClip = 0.0

    /// The optimisers by name.
    public enum Kind: String, ConfigurationChoice {
      /// Stochastic gradient descent.
      case sgd
      /// Weight decay within the gradient.
      case adam
      /// Weight decay beside the gradient.
      case adamw
    }

    enum CodingKeys: String, CodingKey {
      case kind, momentum, nesterov, beta1, beta2, epsilon
      case learningRate = "learning_rate"
      case weightDecay = "weight_decay"
      case gradientClip = "gradient_clip"
    }
  }

  /// How the learning rate changes.
  public struct Schedule: Codable, Sendable, Equatable {
    public var kind = Kind.step
    /// For `step`: fractions of all epochs at which the rate is multiplied by `factor`.
    public var milestones = [0.3, 0.5, 0.9]
    public var factor = 0.1
    /// For `cosine`: epochs of linear warm-up.
    public var warmupEpochs = 0.0

    /// The schedules by name.
    public enum Kind: String, ConfigurationChoice {
      case constant, step, cosine
    }

    enum CodingKeys: String, CodingKey {
      case kind, milestones, factor
      case warmupEpochs = "warmup_epochs"
    }
  }

  /// Test accuracy and classifier convergence during training.
  public struct Evaluation: Codable, Sendable, Equatable {
    /// Every so many epochs, and after the last.
    public var everyEpochs = 1
    /// Images a step.
    public var batchSize = 500

    enum CodingKeys: String, CodingKey {
      case everyEpochs = "every_epochs"
      case batchSize = "batch_size"
    }
  }

  /// What else is measured in the course of training.
  public struct Metrics: Codable, Sendable, Equatable {
    /// Neural collapse (NC1 to NC4) of training images as they are, and how mixtures stand, every so many epochs and
    /// after the last; 0: never.
    public var collapseEveryEpochs = 0
    /// Images, and mixtures, that it is measured on.
    public var collapseSamples = 2000

    enum CodingKeys: String, CodingKey {
      case collapseEveryEpochs = "collapse_every_epochs"
      case collapseSamples = "collapse_samples"
    }
  }

  /// How a device is made use of. Results depend on it no more than on the device.
  public struct Engine: Codable, Sendable, Equatable {
    /// Whether steps of training are recorded as a CUDA graph and replayed: the same bits in less time.
    public var graph = Use.auto
    /// Whether kernels of our own compute what they can; otherwise libtorch's operators do, which round differently.
    public var kernels = Use.auto
    /// Minutes after which a worker of the run that does not answer is given up.
    public var timeoutMinutes = 30.0
    /// Megabytes (10⁶ bytes) of gradients that workers exchange at a time, while the backward pass goes on; 0: all in one
    /// piece after it.
    public var bucketMegabytes = 0.5

    enum CodingKeys: String, CodingKey {
      case graph, kernels
      case timeoutMinutes = "timeout_minutes"
      case bucketMegabytes = "bucket_mb"
    }

    /// Whether something is used.
    public enum Use: String, ConfigurationChoice {
      /// Where it can be.
      case auto
      /// The same, and it is said why where it cannot be.
      case on
      case off
    }
  }

  /// When the state of training is kept, to go on from.
  public struct Checkpoint: Codable, Sendable, Equatable {
    /// Every so many epochs, and after the last.
    public var everyEpochs = 1
    /// Within an epoch too, when so many minutes have passed since the last one; 0: never.
    public var everyMinutes = 10.0

    enum CodingKeys: String, CodingKey {
      case everyEpochs = "every_epochs"
      case everyMinutes = "every_minutes"
    }
  }

  /// Mixed training images pushed through the trained network.
  public struct Capture: Codable, Sendable, Equatable {
    /// Classes to capture, chosen at random; 0: all.
    public var classCount = 3
    /// Number of mixed images.
    public var samples = 3000
    /// Share of the samples whose two images are of one class; with three classes a third is
    /// what chance would give.
    public var sameClassShare = 1.0 / 3
    /// λ ~ Beta(α, α).
    public var alpha = 1.0
    /// How often λ is drawn.
    public var lambda = LambdaScope.sample
    public var statistics = Statistics.batch
    /// Images a step; batch statistics depend on it.
    public var batchSize = 500
    /// When captures are made beside the one at the end, as fractions of training: each after the
    /// epoch N nearest to it, called `activations-epoch-N`.
    public var at: [Double] = []

    /// The defaults.
    public init() {}

    /// What batch norm normalises with.
    public enum Statistics: String, ConfigurationChoice {
      /// The batch's: the network "in train mode", as in the paper.
      case batch
      /// The running ones: evaluation mode.
      case running
    }

    enum CodingKeys: String, CodingKey {
      case samples, alpha, lambda, statistics, at
      case classCount = "class_count"
      case sameClassShare = "same_class_share"
      case batchSize = "batch_size"
    }
  }

  /// The epochs, counting from 1, after which captures are made beside the one at the end.
  public var captureEpochs: [Int] {
    let numbers = capture.at.map { max(1, Int(($0 * Double(epochs)).rounded())) }
    return Set(numbers).filter { $0 < epochs }.sorted()
  }

  /// What captures of mixtures take.
  public var mixtureSampling: MixtureSampling {
    var sampling = MixtureSampling()
    sampling.classCount = capture.classCount
    sampling.samples = capture.samples
    sampling.sameClassShare = capture.sameClassShare
    sampling.alpha = capture.alpha
    sampling.lambdaPerSample = capture.lambda == .sample
    sampling.usesBatchStatistics = capture.statistics == .batch
    sampling.batchSize = capture.batchSize
    return sampling
  }

  /// The configuration without what changes none of a run's bits: where it is computed, and how often
  /// it is kept.
  public var comparable: Configuration {
    var comparable = self
    let defaults = Configuration()
    comparable.device = defaults.device
    comparable.threads = defaults.threads
    comparable.checkpoint = defaults.checkpoint
    comparable.engine = defaults.engine
    comparable.data.memory = defaults.data.memory
    return comparable
  }

  enum CodingKeys: String, CodingKey {
    case name, seed, device, precision, threads, data, model, loss, mixup, optimizer, schedule, epochs
    case labelSmoothing = "label_smoothing"
    case batchSize = "batch_size"
    case gradientAccumulation = "gradient_accumulation"
    case batchNorm = "batch_norm"
    case gradientSums = "gradient_sums"
    case evaluation, metrics, checkpoint, capture, engine
  }
}
