import Experiment
import Foundation
import Problems
import Records
import TestSupport
import Testing

@testable import Reproduction

@Suite struct ExecutionTests {
  let directory = try! TemporaryDirectory()

  private func reproduction(_ text: String = "base: {epochs: 2}") throws -> Reproduction {
    try Reproduction(
      Programme(text: Self.variants + text, name: "mine", file: "mine.yaml"),
      directory: directory.file("out"),
      data: nil)
  }

  private static let variants = """
    variants:
      baseline: {mixup: {enabled: false}}
      mse: {loss: mse}
      etf: {model: {classifier: simplex-etf}}
      alpha-0.4: {mixup: {alpha: 0.4}}
    networks:
      vit: {model: {name: vit-ti-8}}
    datasets:
      cifar10: {data: {dataset: cifar10}}

    """

  private func carryOut(_ reproduction: Reproduction, _ items: [PaperItem], _ worker: StandIn, jobs: Int = 1)
    throws
    -> [String]
  {
    try reproduction.carryOut(items, jobs: jobs, command: ["test"], performer: worker, report: { _ in })
  }

  /// Figures 2, 7, 10 and 11 share the run with mixup, and a second call finds everything done.
  @Test func runsAreSharedAndSkipped() throws {
    let reproduction = try reproduction()
    let worker = StandIn()
    let items: [PaperItem] = [.figure2, .figure7, .figure10, .figure11]
    #expect(try reproduction.plan(items).runs.count == 4)
    #expect(try carryOut(reproduction, items, worker) == [])
    #expect(
      worker.log.withLock { $0.trained }.sorted() == [
        "wrn-cifar10-baseline", "wrn-cifar10-etf", "wrn-cifar10-mixup", "wrn-cifar10-mse",
      ])
    #expect(worker.log.withLock { $0.made } == (1...6).map { "triple-\($0)" })
    #expect(try reproduction.plan(items).open.isEmpty)
    #expect(try carryOut(reproduction, items, worker) == [])
    #expect(worker.log.withLock { $0.trained.count + $0.made.count } == 10)
    // Table 2 needs one more run with this network, and evaluations.
    let open = try reproduction.plan([.table2]).open
    #expect(
      open.filter { $0.key.network == "wrn" }.map(\.parts) == [
        ["evaluation"], ["evaluation"], ["training for 2 epochs", "evaluation"],
      ])
  }

  /// What changes a run's bits makes another run; what does not, does not.
  @Test func identities() throws {
    var configuration = Configuration()
    let plain = try configuration.identity
    configuration.name = "other"
    configuration.device = "cuda"
    configuration.threads = 3
    configuration.checkpoint.everyMinutes = 1
    #expect(try configuration.identity == plain)
    configuration.seed = 1
    #expect(try configuration.identity != plain)
    configuration.seed = 0
    configuration.data.dataset = .folder
    configuration.data.path = "/a/cifar10"
    let folder = try configuration.identity
    configuration.data.path = "/b/cifar10"
    #expect(try configuration.identity == folder && folder != plain)
    configuration.data.path = "/b/cifar100"
    #expect(try configuration.identity != folder)
  }

  /// A run that fails leaves the others alone; one that was interrupted goes on later.
  @Test func failuresAndInterruptions() throws {
    let reproduction = try reproduction()
    let failing = StandIn(fate: { $0.contains("mse") ? Problem(.internalError, "", "diverged") : nil })
    #expect(try carryOut(reproduction, [.figure2], failing) == ["wrn-cifar10-mse"])
    #expect(failing.log.withLock { $0.trained.count } == 3)
    let interrupting = StandIn(fate: { _ in Problem(.interrupted, "", "stopped") })
    #expect {
      try carryOut(reproduction, [.figure2, .figure7], interrupting)
    } throws: { ($0 as? Problem)?.code == .interrupted }
    // After the first, no other was begun.
    #expect(interrupting.log.withLock { $0.trained.count + $0.resumed.count } == 1)
    let worker = StandIn()
    #expect(try carryOut(reproduction, [.figure2, .figure7], worker) == [])
    #expect(worker.log.withLock { $0.resumed }.contains("wrn-cifar10-mse"))
    // A directory without a configuration was killed at its very start.
    let run = try #require(try reproduction.run(of: RunKey("wrn", "cifar10", "mse")))
    try FileManager.default.removeItem(atPath: run.path)
    try RunDirectory.makeDirectory(run.checkpoints)
    #expect(try carryOut(reproduction, [.figure2], worker) == [])
    #expect(worker.log.withLock { $0.trained }.last == "wrn-cifar10-mse")
  }

  /// Products are made anew when they would be made otherwise, or were written over; a measurement
  /// follows its capture.
  @Test func productsAreKnownByHowTheyWereMade() throws {
    let key = RunKey("wrn", "cifar10", "mixup")
    func open(_ reproduction: Reproduction) throws -> [Product] {
      try reproduction.plan([.configuration]).runs.first { $0.key == key }!.products
    }
    let plain = try reproduction()
    let worker = StandIn()
    #expect(try carryOut(plain, [.configuration], worker) == [])
    #expect(try open(plain) == [])
    let run = try #require(try plain.run(of: key))
    let more = try reproduction("base: {epochs: 2}\ncaptures: {numbers: {class_count: 0, samples: 99}}")
    #expect(try open(more) == [.numbers, .measurement])
    #expect(try carryOut(more, [.configuration], worker) == [] && open(more) == [])
    // By hand, under the same name.
    try RunDirectory.write("another capture", to: Product.numbers.file(in: run))
    #expect(try open(more) == [.numbers, .measurement])
    #expect(try carryOut(more, [.configuration], worker) == [] && open(more) == [])
    try FileManager.default.removeItem(atPath: Product.measurement.file(in: run))
    #expect(try open(more) == [.measurement])
  }

  /// A run that another process has finished since the plan was made is left as it is.
  @Test func whatIsThereIsNotRemoved() throws {
    let reproduction = try reproduction()
    let key = RunKey("wrn", "cifar10", "etf")
    let planned = try #require(try reproduction.plan([.figure7]).runs.first { $0.key == key })
    let worker = StandIn()
    #expect(try carryOut(reproduction, [.figure7], worker) == [])
    let before = worker.log.withLock { $0.trained.count }
    #expect(planned.state == .missing && reproduction.store.state(of: planned.directory) == .finished)
    try reproduction.carryOut(planned, threads: 0, [], worker) { _ in }
    #expect(worker.log.withLock { $0.trained.count } == before)
    // Metrics without a configuration are somebody's.
    try FileManager.default.removeItem(atPath: planned.directory.configuration)
    #expect {
      try reproduction.carryOut(planned, threads: 0, [], worker) { _ in }
    } throws: {
      ($0 as? Problem)?.code == .remains && "\($0)".contains("has no config.yaml, but states or metrics")
    }
    #expect(FileManager.default.fileExists(atPath: planned.directory.metrics))
  }

  @Test func triplesDiffer() throws {
    var configuration = Configuration()
    configuration.data.classes = [0, 1, 4, 6, 8]
    func drawn(_ numbers: ClosedRange<Int>) -> [[String]] {
      numbers.map { Product.triple($0, configuration).map(\.description) }
    }
    #expect(Set(drawn(1...6)).count == 6 && Set(drawn(1...10)).count == 10)
    #expect(drawn(1...6) == Array(drawn(1...10).prefix(6)))
    #expect(
      drawn(1...12).allSatisfy { Set($0).count == 3 && Set($0).isSubset(of: ["0", "1", "4", "6", "8"]) })
    configuration.data.classes = [3, 5, 7]
    #expect(drawn(1...2) == [["3", "5", "7"], ["3", "5", "7"]])
    configuration.data.classes = []
    configuration.data.dataset = .idx
    #expect(drawn(1...2) == [[], []])
    configuration.data.dataset = .cifar100
    #expect(Set(drawn(1...6).flatMap { $0 }).count > 12)
  }

  @Test func sideBySide() throws {
    let reproduction = try reproduction("base: {epochs: 2}\nreplicates: [{seeds: 3}]")
    let worker = StandIn()
    #expect(try carryOut(reproduction, [.table2], worker, jobs: 3) == [])
    let log = worker.log.withLock { $0 }
    #expect(log.trained.count == 18 && Set(log.trained).count == 18 && (2...3).contains(log.mostAtOnce))
    // Seed by seed, so that an early end leaves every run once.
    let seeds = try reproduction.plan([.table2]).runs.map(\.key.seed)
    #expect(seeds == seeds.sorted())
  }

  private static let sweep = """
    base: {epochs: 2}
    sweeps:
      - for: {network: wrn}
        vary: {optimizer.learning_rate: [0.1, 0.2, 0.3]}
    """

  /// The best candidate decides for all runs of its network and data set, and is itself one of them.
  @Test func sweeps() throws {
    let reproduction = try reproduction(Self.sweep)
    let plan = try reproduction.plan([.figure2])
    #expect(plan.candidates.count == 3 && plan.runs.isEmpty && plan.waiting == 3)
    // Nothing is chosen while one has failed for a reason that may pass.
    let failing = StandIn(
      accuracy: { $0.optimizer.learningRate }, fate: { _ in Problem(.internalError, "", "full") })
    #expect(try carryOut(reproduction, [.figure2], failing).count == 3)
    #expect(try reproduction.plan([.figure2]).waiting == 3)
    let worker = StandIn(accuracy: { 1 - abs($0.optimizer.learningRate - 0.2) })
    #expect(try carryOut(reproduction, [.figure2], worker) == [])
    let log = worker.log.withLock { $0 }
    // Three candidates, of which one is the run with mixup; the baseline and squared errors.
    #expect(log.trained.count + log.resumed.count == 5)
    for variant in ["mixup", "mse", "baseline"] {
      let run = try #require(try reproduction.run(of: RunKey("wrn", "cifar10", variant)))
      #expect(try run.loadConfiguration().optimizer.learningRate == 0.2)
    }
  }

  /// A candidate that diverged has lost; if all have, that is said.
  @Test(arguments: [0.25, 0.05]) func divergingCandidates(limit: Double) throws {
    let reproduction = try reproduction(Self.sweep)
    let worker = StandIn(
      accuracy: { $0.optimizer.learningRate }, diverges: { $0.optimizer.learningRate > limit })
    if limit > 0.1 {
      #expect(try carryOut(reproduction, [.figure2], worker) == ["wrn-cifar10-mixup-sweep-3"])
      let run = try #require(try reproduction.run(of: RunKey("wrn", "cifar10", "mse")))
      #expect(try run.loadConfiguration().optimizer.learningRate == 0.2)
    } else {
      #expect {
        try carryOut(reproduction, [.figure2], worker)
      } throws: {
        ($0 as? Problem)?.code == .allDiverged
          && "\($0)".contains("every candidate of the sweep for wrn-cifar10-mixup diverged")
      }
    }
  }

  @Test func placesOfData() throws {
    for path in ["cifar10-jpeg/train", "cifar10-jpeg/test", "cifar100-head"] {
      try RunDirectory.makeDirectory(directory.file("data/" + path))
    }
    let places = try DataPlaces(directory.file("data"))
    let root = URL(fileURLWithPath: directory.file("data")).standardizedFileURL.path
    #expect(places.settings("cifar10") == ["data.dataset=folder", "data.path=\(root)/cifar10-jpeg"])
    #expect(places.settings("cifar100") == ["data.path=\(root)/cifar100-head"])
    #expect(places.settings("fashion-mnist").isEmpty)
    // Every form of the official files that can be read.
    for (number, name) in ["cifar-10-batches-bin", "cifar-10-batches-py"].enumerated() {
      try RunDirectory.makeDirectory(directory.file("official-\(number)/\(name)"))
      let found = try DataPlaces(directory.file("official-\(number)")).settings("cifar10")
      #expect(found.count == 1 && found[0].hasSuffix("/official-\(number)/\(name)"))
    }
    try RunDirectory.makeDirectory(directory.file("empty"))
    #expect { try DataPlaces(directory.file("empty")) } throws: {
      "\($0)".contains("holds neither cifar10 nor cifar100")
    }
    #expect { try DataPlaces("/no/such") } throws: { ($0 as? Problem)?.code == .missingDataPlace }
  }
}
