import Datasets
import Foundation
import Records
import TestSupport
import Testing

@testable import Experiment
@testable import Problems

@Suite struct ConfigurationTests {
  static func load(_ yaml: String, _ assignments: String...) throws -> Configuration {
    let sets = try assignments.map { try Configuration.Source(assignment: $0) }
    return try Configuration([.init(text: yaml, name: "c.yaml")] + sets)
  }

  static func isProblem(_ error: any Error, _ code: ProblemCode, _ words: String) -> Bool {
    guard let problem = error as? Problem else { return false }
    return problem.code == code && problem.reason.contains(words)
  }

  @Test func defaultsSurviveARoundTrip() throws {
    var configuration = Configuration()
    #expect(try Self.load("") == configuration)
    #expect(try Self.load(configuration.yaml()) == configuration)
    configuration.optimizer.weightDecay = 1e-5
    configuration.data.classes = [4, 2]
    configuration.schedule.milestones = [1, 0.5]
    configuration.mixup.lambda = .sample
    #expect(try Self.load(configuration.yaml()) == configuration)
  }

  @Test func laterSourcesOverride() throws {
    let configuration = try Self.load(
      "epochs: 3\noptimizer:\n  learning_rate: 0.5", "optimizer.learning_rate=0.25", "data.classes=[1,2]",
      "name=x")
    #expect(configuration.epochs == 3 && configuration.optimizer.learningRate == 0.25)
    #expect(configuration.optimizer.momentum == 0.9)
    #expect(configuration.data.classes == [1, 2] && configuration.name == "x")
  }

  @Test func classesByNumberOrName() throws {
    let classes: [ClassChoice] = ["cat", 3, "T-shirt/top", 7]
    let configuration = try Self.load("data: {classes: [cat, 3, T-shirt/top, \"7\"]}")
    #expect(configuration.data.classes == classes)
    #expect(try Self.load(configuration.yaml()).data.classes == classes)
    #expect(try Self.load("", "data.classes=[dog, 1]").data.classes == ["dog", 1])
  }

  /// As it is written, whatever YAML makes of it elsewhere.
  @Test func classesThatLookLikeSomethingElse() throws {
    let texts = ["00010", "010", "no", "null", "1.0", "1:30", "2024-01-01", "0x1f", "1e5", "~"]
    let list = texts.joined(separator: ", ")
    for found in try [Self.load("data: {classes: [\(list)]}"), Self.load("", "data.classes=[\(list)]")] {
      #expect(found.data.classes.map(\.text) == texts)
    }
    var configuration = Configuration()
    configuration.data.classes = texts.map { ClassChoice($0) }
    #expect(try Self.load(configuration.yaml()) == configuration)
    let json = try JSONEncoder().encode(configuration.data)
    #expect(try JSONDecoder().decode(Configuration.Data.self, from: json) == configuration.data)
  }

  /// YAML 1.1's octal and sexagesimal numbers are mistakes, not other numbers.
  @Test(arguments: [
    "seed=010", "epochs=1:30", "batch_size=0x20", "optimizer.learning_rate=1:30.5", "seed=1_0",
  ])
  func numbersThatYAMLReadsOtherwise(assignment: String) {
    #expect { try Self.load("", assignment) } throws: { Self.isProblem($0, .badSetting, "must be a") }
  }

  /// A few hundred bytes that unfold into millions of values.
  @Test func aliasesThatGrow() {
    var text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    for level in 1...12 {
      text +=
        "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
        + "]\n"
    }
    for document in [text, text + "mixup: {layers: *a12}\n"] {
      #expect { try Self.load(document) } throws: {
        Self.isProblem($0, .badYAML, "its aliases (*name) unfold into more than")
      }
    }
    let long = "mixup: {layers: {a: [" + Array(repeating: "x", count: 5000).joined(separator: ", ") + "]}}"
    #expect { try Self.load(long) } throws: { "\($0)".count < 300 }
  }

  /// Combinations that no run can have, and the words of the message.
  static let misfits: [([String], String)] = [
    (["data.classes=[cat]"], "two or more different classes"),
    (["data.classes=[1, 1]"], "two or more different classes"),
    (["data.classes=[[1], 2]"], "a list of single values"),
    (
      ["data.dataset=folder"], "data.path cannot be empty: it must be the directory that holds train and test"
    ),
    (["data.image_size=32"], "left alone unless data.dataset is folder"),
    (["data.skip_corrupt=true"], "left alone unless data.dataset is folder"),
    (["checkpoint.every_minutes=1e308"], "from 0 (never within an epoch) to 1000000"),
    (["engine.bucket_mb=-1"], "from 0 (one piece) to 100000"),
    (["data.validation=-1"], "data.validation cannot be -1"),
    (["mixup.layers=[]"], "mixup.layers cannot be []"),
    (["mixup.layers=[1, 1]"], "one or more different numbers of layers"),
    (["mixup.layers=[0.5]"], "a list of whole numbers"),
    (["mixup.kind=manifold", "gradient_accumulation=2"], "partners would be in other parts"),
    (["mixup.kind=manifolds"], "Did you mean \"manifold\"?"),
  ]

  @Test(arguments: misfits) func refusesCombinations(settings: [String], words: String) throws {
    let sources = try settings.map { try Configuration.Source(assignment: $0) }
    #expect { try Configuration([.init(text: "", name: "c.yaml")] + sources) } throws: {
      Self.isProblem($0, .badSetting, words)
    }
  }

  @Test func wholeNumbersServeAsReals() throws {
    #expect(try Self.load("mixup: {alpha: 2}").mixup.alpha == 2)
    #expect(try Self.load("optimizer: {weight_decay: 1e-4}").optimizer.weightDecay == 1e-4)
  }

  /// Every real number, also where the default is whole, takes a fraction from a file and an option.
  @Test(arguments: [
    "mixup.alpha", "capture.alpha", "capture.same_class_share", "optimizer.learning_rate",
    "model.multiplier", "optimizer.momentum", "optimizer.weight_decay", "optimizer.beta1", "optimizer.beta2",
    "optimizer.epsilon", "optimizer.gradient_clip", "schedule.factor", "schedule.warmup_epochs",
  ])
  func realKeysTakeFractions(key: String) throws {
    let set = try Self.load("", "\(key)=0.4")
    let parts = key.split(separator: ".")
    #expect(try set == Self.load("\(parts[0]):\n  \(parts[1]): 0.4"))
    #expect(try set == Self.load(set.yaml()) && set != Configuration())
    #expect(try set.yaml().contains("\(parts[1]): 0.4\n"))
  }

  @Test func settingsAreTakenAsTheyAre() throws {
    let configuration = try Self.load("data: {dataset: idx}", "data.path=/mnt/a,b: #1}", "name=007")
    #expect(configuration.data.path == "/mnt/a,b: #1}" && configuration.name == "007")
    #expect(try Self.load(configuration.yaml()) == configuration)
    for path in ["[old] images", "@x/y", "{a", "'", "*", "- a"] {
      #expect(try Self.load("data: {dataset: idx}", "data.path=\(path)").data.path == path)
    }
    #expect { try Self.load("", "epochs=1, seed=3") } throws: {
      "\($0)".contains("epochs must be a whole number")
    }
    #expect { try Self.load("", "epochs={a: 1}") } throws: {
      "\($0)".contains("epochs must be a single value")
    }
    #expect { try Self.load("", "optimizer=3") } throws: { "\($0)".contains("is a group of keys") }
    #expect { try Self.load("", "epochs=") } throws: { "\($0)".contains("epochs must be a whole number") }
  }

  /// Numbers that would overflow somewhere.
  @Test(arguments: [
    "epochs=9223372036854775807", "threads=4294967297", "data.padding=2000000000",
    "capture.samples=1000000000000",
    "capture.batch_size=9223372036854775807", "batch_size=9223372036854775807",
    "capture.class_count=9223372036854775807",
    "evaluation.every_epochs=9223372036854775807", "data.train_limit=9223372036854775807",
    "optimizer.learning_rate=.inf", "epochs=99999999999999999999", "seed=-1", "data.memory=-1",
    "data.memory=.nan", "data.memory=1e9", "data.crop_scale=[0, 1]", "data.crop_scale=[0.5, 0.2]",
    "data.crop_scale=[0.5]", "data.crop_scale=[0.5, 1.5]", "data.crop_ratio=[1, .inf]",
    "data.crop_ratio=[-1, 1]",
  ])
  func boundsOfNumbers(assignment: String) throws {
    let error = #expect(throws: Problem.self) { try Self.load("", assignment) }
    #expect(error?.code == .badSetting && error?.subject == "\(assignment.split(separator: "=")[0])")
    #expect(error?.reason.contains(assignment.split(separator: "=")[0]) == true)
  }

  /// YAML, and what its message must contain.
  static let refusals: [(String, [String])] = [
    ("optimzer: {}", ["c.yaml:1", "\"optimzer\"", "Did you mean \"optimizer\""]),
    (
      "seed: 1\noptimizer:\n  learning_rat: 1",
      ["c.yaml:3", "optimizer.learning_rat", "\"optimizer.learning_rate\""]
    ),
    ("learning_rate: 1", ["\"learning_rate\""]),
    ("epochs: many", ["c.yaml:1", "epochs must be a whole number, not many"]),
    ("epochs: 1.5", ["epochs must be a whole number"]),
    ("epochs: [1]", ["epochs must be a single value"]),
    ("mixup: {enabled: 3}", ["mixup.enabled must be true or false"]),
    ("optimizer: 3", ["optimizer is a group of keys"]),
    ("data: {classes: 3}", ["data.classes must be a list"]),
    ("data: {classes: [[a], b]}", ["data.classes must be a list of single values"]),
    ("loss: cross_entropy", ["loss cannot be \"cross_entropy\"", "Did you mean \"cross-entropy\""]),
    ("data: {dataset: fashionmnist}", ["data.dataset", "Did you mean \"fashion-mnist\""]),
    ("mixup: {alpha: 0}", ["mixup.alpha cannot be 0.0", "positive"]),
    ("mixup: {alpha: .nan}", ["mixup.alpha"]),
    ("batch_size: 1", ["batch_size cannot be 1"]),
    ("optimizer: {kind: adamW}", ["optimizer.kind", "Did you mean \"adamw\""]),
    ("optimizer: {beta2: 1.0}", ["optimizer.beta2 cannot be 1.0", "in [0, 1)"]),
    ("optimizer: {epsilon: 0.0}", ["optimizer.epsilon cannot be 0.0"]),
    ("optimizer: {gradient_clip: -1.0}", ["optimizer.gradient_clip cannot be -1.0"]),
    ("optimizer: {gradient_clip: 1e308}", ["optimizer.gradient_clip cannot be 1e+308"]),
    ("optimizer: {learning_rate: 1e39}", ["optimizer.learning_rate cannot be 1e+39"]),
    ("optimizer: {weight_decay: 1e39}", ["optimizer.weight_decay cannot be 1e+39"]),
    ("gradient_accumulation: 3", ["gradient_accumulation cannot be 3", "a divisor of batch_size (128)"]),
    ("gradient_accumulation: 128", ["gradient_accumulation cannot be 128"]),
    ("gradient_accumulation: 0", ["gradient_accumulation cannot be 0"]),
    ("model: {classifier: etf}", ["model.classifier cannot be \"etf\"", "learned, simplex-etf"]),
    ("model: {multiplier: 0.0}", ["model.multiplier cannot be 0.0"]),
    ("label_smoothing: 1.0", ["label_smoothing cannot be 1.0", "in [0, 1)"]),
    ("data: {classes: [1, 1]}", ["data.classes"]),
    ("name: a/b", ["name cannot be"]),
    ("epochs: 2\n  x: : 1", ["c.yaml is not valid YAML"]),
    ("- 1", ["the configuration is a group of keys"]),
  ]

  @Test(arguments: refusals) func refuses(yaml: String, parts: [String]) {
    let error = #expect(throws: Problem.self) { try Self.load(yaml) }
    let text = error?.reason ?? ""
    let missing = parts.filter { !text.contains($0) }
    #expect(missing.isEmpty, "\(text)")
    // Of what is no YAML its own reader's words are shown.
    let isSentence = error?.code == .badYAML || [".", "?"].contains(text.suffix(1))
    #expect([.badSetting, .unknownKey, .badYAML].contains(error?.code) && isSentence, "\(text)")
  }

  /// The keys of the group that a wrong one stands in.
  @Test func choicesOfKeys() {
    let top = #expect(throws: Problem.self) { try Self.load("learning_rate: 1") }
    #expect(top?.code == .unknownKey && top?.subject == "learning_rate")
    #expect(top?.choices.prefix(2) == ["name", "seed"] && top?.choices.contains("metrics") == true)
    let inner = #expect(throws: Problem.self) { try Self.load("", "mixup.alhpa=1") }
    #expect(inner?.subject == "mixup.alhpa")
    #expect(inner?.choices == ["enabled", "kind", "alpha", "lambda", "layers"])
  }

  @Test func refusedAssignments() {
    #expect { try Self.load("", "epochs") } throws: { Self.isProblem($0, .badAssignment, "KEY=VALUE") }
    #expect { try Self.load("", "epoch=3") } throws: {
      Self.isProblem($0, .unknownKey, "Did you mean \"epochs\"")
    }
  }

  /// Every choice that has a name is refused with all of them.
  @Test(arguments: [
    ("precision=fp", "auto, fp32, bf16"),
    ("data.dataset=mnist", "fashion-mnist, cifar10, cifar100, folder, idx, arrays"),
    ("schedule.kind=steps", "constant, step, cosine"), ("capture.statistics=run", "batch, running"),
  ]) func namedChoices(assignment: String, names: String) {
    #expect { try Self.load("", assignment) } throws: {
      Self.isProblem($0, .badSetting, "it is one of \(names).")
    }
  }

  @Test func samplingOfMixtures() throws {
    #expect(Configuration().mixtureSampling == MixtureSampling())
    let sampling = try Self.load(
      "capture: {class_count: 0, samples: 7, same_class_share: 0.5, alpha: 2, lambda: batch, statistics: running}",
      "capture.batch_size=9"
    ).mixtureSampling
    #expect(sampling.classCount == 0 && sampling.samples == 7 && sampling.sameClassShare == 0.5)
    #expect(sampling.alpha == 2 && !sampling.lambdaPerSample && !sampling.usesBatchStatistics)
    #expect(sampling.batchSize == 9)
  }
}

@Suite struct SpellingTests {
  @Test func distances() {
    #expect(editDistance("kitten", "sitting") == 3)
    #expect(editDistance("abcd", "abdc") == 1)
    #expect(editDistance("", "abc") == 3)
    #expect(nearest(to: "learning_rat", among: ["learning_rate", "seed"]) == "learning_rate")
    #expect(nearest(to: "zzzzzz", among: ["learning_rate", "seed"]) == nil)
  }

  /// A file may have a word of any length, which is then near to nothing.
  @Test(.timeLimit(.minutes(1))) func longWords() {
    let long = String(repeating: "learning_rate", count: 100_000)
    #expect(nearest(to: long, among: ["learning_rate", "seed"]) == nil)
    #expect { try Configuration([.init(text: "? \(long)\n: 1", name: "file")]) } throws: {
      isProblem($0, .unknownKey, "there is no key")
    }
  }

  @Test(arguments: ["name", "device", "data.path", "model.name"]) func refusesByteOrderMarks(key: String) {
    #expect { try Configuration([.init(assignment: "\(key)=\u{feff}cpu")]) } throws: {
      isProblem($0, .badSetting, "\(key) cannot be", "byte-order mark")
    }
  }

  /// Characters that YAML has no place for but as numbers.
  @Test(arguments: ["a\u{7f}b", "\u{85}", "\u{9f}x", "a\u{feff}", "\u{fffe}", "\u{1f600}", "\u{1}", "a\tb"])
  func keepsEveryCharacter(name: String) throws {
    let configuration = try Configuration([.init(assignment: "name=\(name)")])
    #expect(configuration.name == name)
    let again = try Configuration([.init(text: configuration.yaml(), name: "again")])
    #expect(try again == configuration && again.identity == configuration.identity)
  }
}
