import Arrays
import Experiment
import Problems
import SystemTools
import Testing

@testable import collapse

/// The table of words, read through.
@Suite struct WordsTests {
  /// What users are told of each code, with and without choices, wherever it may be said.
  static func failures(_ subjects: String...) -> [(code: ProblemCode, failure: Failure)] {
    let kinds = FileKind.allCases.map { [$0.rawValue] }
    let ofKinds: [ProblemCode] = [.otherFormat, .otherDataFormat, .unreadableWeights, .notTorchScript]
    return ProblemCode.allCases.flatMap { code in
      ([[], ["one"], ["one", "two"], ["bf16"]] + (ofKinds.contains(code) ? kinds : [])).flatMap { choices in
        subjects.flatMap { subject in
          [ProblemContext.run, .foreignNetwork, .measurement(.init(file: "f.npz"))].map {
            (code, Failure(Problem(code, subject, "It is so", choices: choices), in: $0))
          }
        }
      }
    }
  }

  @Test func everyCodeHasWords() {
    for (code, failure) in Self.failures("", "subject", "0.5") {
      #expect(failure.status != .done, "\(code)")
      #expect((failure.status == .interrupted) == (code == .interrupted), "\(code)")
      #expect(failure.reason.hasSuffix("It is so."), "\(code): \(failure.reason)")
      for remedy in failure.remedies {
        #expect(
          remedy.count > 2 && !remedy.contains("\n") && !remedy.contains("Optional("), "\(code): \(remedy)")
      }
      #expect(Set(failure.remedies).count == failure.remedies.count, "\(code)")
    }
  }

  static let statuses: [(ProblemCode, collapse.ExitStatus)] = [
    (.badSetting, .usage), (.unknownKey, .usage), (.exists, .usage), (.outOfRange, .usage),
    (.noDevice, .usage),
    (.unfitNormalization, .usage), (.otherClassCount, .usage), (.locked, .usage), (.damagedFile, .badData),
    (.pickle, .badData), (.wrongChecksum, .badData), (.corruptImages, .badData), (.unfitWeights, .badData),
    (.noState, .badData), (.unfitArrays, .badData), (.unfitEngine, .badData), (.missingFile, .missing),
    (.missingData, .missing), (.unfetchedData, .missing), (.unwritableCache, .missing), (.notARun, .missing),
    (.noWeights, .missing), (.missingArraySource, .missing), (.missingEngine, .missing),
    (.toolFailed, .missing),
    (.noPythonPackage, .missing), (.unwritableFile, .internalError), (.unwrittenCheckpoint, .internalError),
    (.diverged, .internalError), (.outOfMemory, .internalError), (.workerKilled, .internalError),
    (.internalError, .internalError), (.interrupted, .interrupted),
  ]

  @Test(arguments: statuses) func statusesAreKept(code: ProblemCode, status: collapse.ExitStatus) {
    #expect(Failure(Problem(code, "x", "y")).status == status)
  }

  // MARK: What remedies name

  /// Lines of a shell in a remedy: what follows the program's name, in words.
  private func commands(_ remedy: String) -> [[String]] {
    // Not in "beside collapse." nor "a run of collapse, captures".
    let parts = remedy.components(separatedBy: "collapse ")
    return zip(parts, parts.dropFirst()).compactMap { before, after in
      guard before.isEmpty || before.hasSuffix(" ") else { return nil }
      return after.split(separator: " ").map(String.init)
    }
  }

  /// Every command that is named is one that this program takes, with all its options.
  @Test func commandsAreRight() throws {
    var seen: Set<[String]> = []
    for (code, failure) in Self.failures("subject", "0.5") {
      for words in failure.remedies.flatMap(commands) {
        // A sentence may go on behind a command.
        let parsed = (1...words.count).reversed().first { count in
          (try? Collapse.parseAsRoot(Array(words[..<count]))) != nil
        }
        let count = try #require(parsed, "\(code): \(words)")
        #expect(!words[count...].contains { $0.hasPrefix("--") }, "\(code): \(words)")
        seen.insert(Array(words[..<min(count, 2)]))
      }
    }
    #expect(seen.count > 8, "\(seen)")
  }

  /// Every option that is named is one of some command, and every key one of a configuration.
  @Test func optionsAndKeysAreRight() throws {
    var commands = Collapse.configuration.subcommands
    var help = Collapse.helpMessage()
    while let command = commands.popLast() {
      help += Collapse.helpMessage(for: command, columns: 10_000)
      commands += command.configuration.subcommands
    }
    for (code, failure) in Self.failures("subject", "0.5") {
      for remedy in failure.remedies {
        for option in remedy.matches(of: /--[a-z][-a-z]*/) {
          #expect(
            help.contains("\(option.output) ") || help.contains("\(option.output)\n"), "\(code): \(remedy)")
        }
        for key in remedy.matches(of: /--set ([a-z_.]+)=/) {
          do {
            _ = try Configuration([.init(assignment: "\(key.1)=?")])
          } catch let problem as Problem {
            #expect(problem.code != .unknownKey, "\(code): \(remedy)")
          }
        }
      }
    }
  }

  // MARK: Words

  @Test func settingsAndOptions() {
    let problem = Problem(
      .missingData, "cifar10", "CIFAR10 is not on this machine.", choices: ["a.tar.gz", "https://b"])
    #expect(
      Failure(problem).description == """
        CIFAR10 is not on this machine.
          collapse data fetch cifar10
          or put a.tar.gz from https://b/ into COLLAPSE_DATA,
          or name its place, packed or unpacked: --set data.path=PATH
        """)
    #expect(Failure(problem, in: .foreignNetwork).remedies.last?.hasSuffix("--data-path PATH") == true)
    let images = Problem(.unequalImages, "own", "They differ.", choices: ["skip"])
    #expect(
      Failure(images).remedies == [
        "Remove or replace them, or go on without them: --set data.skip_corrupt=true",
        "For images of different sizes: --set data.image_size=N",
      ])
    #expect(
      Failure(images, in: .foreignNetwork).remedies == [
        "Remove or replace them, or go on without them: --skip-corrupt",
        "For images of different sizes: --image-size N",
      ])
    #expect(Failure(Problem(.unfitWeights, "w", "No.")).remedies.isEmpty)
    #expect(Failure(Problem(.unfitWeights, "w", "No."), in: .foreignNetwork).remedies.count == 2)
  }

  @Test func divergence() {
    let problem = Problem(.diverged, "0.1", "the loss is infinite.", choices: ["bf16"])
    #expect(
      Failure(problem).remedies == [
        "Try a lower rate: --set optimizer.learning_rate=0.025",
        "or a warm-up: --set schedule.kind=cosine --set schedule.warmup_epochs=1",
        "or full precision: --set precision=fp32",
      ])
  }

  /// Errors of all rooms; those without a code are the program's own fault.
  @Test func otherErrors() {
    struct Other: Error {}
    #expect(Failure(describing: Other()) == Failure(.internalError, "Other()."))
    #expect(Failure(describing: ToolError(reason: "no tar")) == Failure(.missing, "no tar."))
    let own = Failure(.usage, "why?")
    #expect(Failure(describing: own) == own)
  }
}
