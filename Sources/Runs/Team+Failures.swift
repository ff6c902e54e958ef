import Foundation
import Problems
import Synchronization
import SystemTools
import Torch

extension Team {
  fileprivate struct Failed: Codable, Sendable {
    var rank: Int
    var host: String
    var problem: Problem
  }

  /// Tells the others that this process has failed, and why, and gives them time to hear it.
  public func fail(_ problem: Problem) {
    // Whoever has heard of another's failure has none of its own to tell.
    guard problem.code != .lostWorker else { return }
    let failed = Failed(rank: world.rank, host: HostAddress.name, problem: problem)
    let isTold = ask { [store] in
      guard try !store.has("failure") else { return false }
      try store.set("failure", JSONEncoder().encode(failed))
      return true
    }
    guard isTold == true else { return }
    if world.isLeader, !world.hasAgentStore { Thread.sleep(forTimeInterval: 2 * Self.interval) }
  }

  /// How often those who wait look for failures, in seconds.
  private static let interval = 1.0

  /// An error of this process, or what is behind it where another one is gone.
  func explained(_ error: any Error, run: String) -> Problem {
    guard let error = error as? TorchError, error.code == .lostWorker else { return Problem(error) }
    // The one that has failed may be about to say so; those that are there say that they are.
    let failed = ask { [store, rank = world.rank] () -> Failed? in
      try store.set("alive/\(rank)", Data("1".utf8))
      for _ in 0..<8 {
        if let failed = try Self.failure(store) { return failed }
        Thread.sleep(forTimeInterval: 0.2)
      }
      return nil
    }
    if case let failed?? = failed { return failed.problem(in: run) }
    return Problem(
      .lostWorker, run,
      "\(missing()) is gone or does not answer (\(Self.essence(of: error))); this is \(name).")
  }

  /// Who has not said that it is there.
  private func missing() -> String {
    let ranks = ask { [store, world] in
      try (0..<world.size).filter { try $0 != world.rank && !store.has("alive/\($0)") }
    }
    // The store is gone, and whoever had it.
    guard let ranks else {
      return world.hasAgentStore || world.isLeader ? "a worker of this run" : "worker 0"
    }
    guard let first = ranks.first else { return "a worker of this run" }
    return ranks.count == 1
      ? "worker \(first)" : "one of the workers \(ranks.prefix(8).map(String.init).joined(separator: ", "))"
  }

  /// What Gloo and c10d say, without where in their sources and what to do.
  private static func essence(of error: TorchError) -> String {
    String(
      error.reason.replacing(/^\[[^\]]*\] */, with: "").replacing(
        /\.? *This is typically caused.*$/, with: ""))
  }

  private static func failure(_ store: RendezvousStore) throws -> Failed? {
    guard try store.has("failure") else { return nil }
    return try JSONDecoder().decode(Failed.self, from: store.value("failure", timeout: 1))
  }

  /// What the store answers; nil where it fails, or is silent for too long: the host that has it may be.
  private func ask<Answer: Sendable>(_ question: @escaping @Sendable () throws -> Answer) -> Answer? {
    let answer = Answered<Answer>()
    let isThere = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let made = try? question()
      answer.value.withLock { $0 = made }
      isThere.signal()
    }
    guard isThere.wait(timeout: .now() + 4) == .success else { return nil }
    return answer.value.withLock { $0 }
  }

  func post(_ key: String, _ data: Data) throws {
    do {
      try store.set(key, data)
    } catch {
      throw explained(error, run: "")
    }
  }

  /// What a process has said, or will say; a failure of any of them ends the wait.
  ///
  /// - Parameter rank: of the process that is waited for, for messages.
  func value(_ key: String, from rank: Int, patience: Double = 3600) throws -> Data {
    let end = ContinuousClock.now + .seconds(patience)
    var pause = 0.002
    while true {
      do {
        if try store.has(key) { return try store.value(key, timeout: Self.interval) }
        if let failed = try Self.failure(store) { throw failed.problem(in: "") }
      } catch let error as TorchError {
        throw explained(error, run: "")
      }
      guard ContinuousClock.now < end else {
        throw Problem(
          .lostWorker, "", "the worker of rank \(rank) has said nothing for \(Int(patience)) seconds.")
      }
      // Each look is a message to the store, and most answers are there soon.
      Thread.sleep(forTimeInterval: pause)
      pause = min(0.5, 1.5 * pause)
    }
  }
}

extension Team.Failed {
  /// As the others tell it.
  fileprivate func problem(in run: String) -> Problem {
    let code: ProblemCode =
      [.interrupted, .diverged, .unequalWorkers].contains(problem.code) ? problem.code : .lostWorker
    return Problem(
      code, code == .lostWorker ? run : problem.subject,
      "worker \(rank) on \(host) has ended: \(problem.reason)", choices: problem.choices)
  }
}

/// An answer that may come too late for whoever has asked.
private final class Answered<Value: Sendable>: Sendable {
  let value = Mutex<Value?>(nil)
}
