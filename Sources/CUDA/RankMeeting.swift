import Foundation
import Problems
import Torch

/// Where ranks leave notices for each other: a store, or in tests a substitute.
protocol NoticeBoard: Sendable {
  func set(_ key: String, _ value: Data) throws
  func has(_ key: String) throws -> Bool
  /// Waits until there is one, for so many seconds.
  func value(_ key: String, timeout: Double) throws -> Data
}

extension RendezvousStore: NoticeBoard {}

/// Ranks that find out whether they can connect with each other, and all come to the same answer.
struct RankMeeting {
  private let board: any NoticeBoard
  private let rank: Int
  private let size: Int
  private let timeout: Double
  private let start = ContinuousClock.now

  /// A meeting on a board that nobody else uses.
  init(_ board: any NoticeBoard, rank: Int, size: Int, timeout: Double) {
    (self.board, self.rank, self.size, self.timeout) = (board, rank, size, timeout)
  }

  /// What a rank says of itself.
  struct Card: Codable {
    /// Of NCCL; communicators are of one version.
    var version: String
    /// What tells its device from all others.
    var identity: String
    /// Where a person finds it.
    var place: String
    /// What the communicator is made from, of rank 0.
    var id: Data?
  }

  /// Tells the others when `body` fails, who then fail as well instead of waiting.
  func announcingFailure<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let failure as FailureElsewhere {
      throw failure.problem
    } catch {
      let failure = error is any CodedError ? error : Problem(.engineFailed, "NCCL", "\(error)")
      var notice = Problem(failure)
      notice.reason = "the ranks are not connected by NCCL: rank \(rank) says: \(notice.reason)"
      // What is wrong here matters more than a store that is gone.
      if let text = try? JSONEncoder().encode(notice) { try? board.set("failed", text) }
      throw failure
    }
  }

  /// The id of a communicator for all ranks, when all have the same version and different devices.
  ///
  /// - Throws: `Problem` that all ranks throw.
  func agree(on library: NCCLLibrary, _ device: any CollectiveDevice) throws -> Data {
    let card = Card(
      version: library.version, identity: try device.identity(),
      place: "\(device.device) of host \(ProcessInfo.processInfo.hostName)",
      id: rank == 0 ? try library.uniqueID() : nil)
    try board.set("card/\(rank)", try JSONEncoder().encode(card))
    let cards = try (0..<size).map {
      try JSONDecoder().decode(Card.self, from: try value("card/\($0)", of: $0))
    }
    for (other, card) in cards.enumerated() {
      if card.version != cards[0].version {
        throw Problem(
          .engineFailed, "NCCL",
          "rank 0 has NCCL \(cards[0].version) and rank \(other) has \(card.version); all must have the same."
        )
      }
      if let first = cards.firstIndex(where: { $0.identity == card.identity }), first < other {
        throw Problem(
          .noDevice, "\(device.device)",
          "ranks \(first) and \(other) have the same device (\(cards[first].place), \(card.place)), and NCCL "
            + "connects only ranks that have one each; Gloo exchanges between them by way of the CPU.")
      }
    }
    guard let id = cards[0].id else { throw Problem(.engineFailed, "NCCL", "rank 0 has given no id.") }
    return id
  }

  /// Waits until all ranks have come as far.
  func all(_ step: String) throws {
    try board.set("\(step)/\(rank)", Data())
    for other in 0..<size { _ = try value("\(step)/\(other)", of: other) }
  }

  private func value(_ key: String, of other: Int) throws -> Data {
    try wait("answered by rank \(other)") { try board.has(key) }
    return try board.value(key, timeout: timeout)
  }

  /// Waits for something, and for failures elsewhere.
  ///
  /// - Throws: `TorchError` with the code `lostWorker` when it takes too long.
  func wait(_ goal: String, until isDone: () throws -> Bool) throws {
    var pause: UInt32 = 500
    while try !isDone() {
      if try board.has("failed") {
        let notice = try board.value("failed", timeout: timeout)
        throw FailureElsewhere(problem: try JSONDecoder().decode(Problem.self, from: notice))
      }
      guard ContinuousClock.now - start < .seconds(min(timeout, 1e9)) else {
        throw TorchError(
          operation: "connect", arguments: ["rank \(rank) of \(size)"],
          reason: "it was not \(goal) within \(String(format: "%.3g", timeout)) s", code: .lostWorker)
      }
      usleep(pause)
      pause = min(pause * 2, 20_000)
    }
  }

  /// What another rank has announced, which is not announced again.
  private struct FailureElsewhere: Error {
    let problem: Problem
  }
}
