import CCUDA
import Foundation
import NCCLTwin
import Problems
import TestSupport
import Testing
import ThreadGroups
import Torch

@testable import CUDA

/// How ranks connect, or find out that they cannot.
extension NCCLGroupTests {
  /// All ranks come to the same answer.
  private func refused(
    _ size: Int, timeout: Double = patience,
    _ make: @escaping @Sendable (Int, any NoticeBoard, Double) throws -> TwinRank?
  ) -> [Problem] {
    let board = MemoryBoard()
    return Ranks.results(size) { try make($0, board, timeout) != nil }.compactMap {
      $0.error.map { Problem($0) }
    }
  }

  @Test func refusesSharedDevices() {
    let problems = refused(3) { rank, board, timeout in
      try TwinRank(rank, of: 3, on: board, timeout: timeout, place: rank == 1 ? "other" : "host 0000:3b:00.0")
    }
    #expect(problems.count == 3)
    for problem in problems {
      #expect(problem.code == .noDevice && problem.reason.contains("ranks 0 and 2"), "\(problem)")
      #expect(problem.reason.contains("Gloo"))
    }
  }

  @Test func refusesOtherVersions() {
    let problems = refused(2) { rank, board, timeout in
      try TwinRank(rank, of: 2, on: board, timeout: timeout) {
        var functions = cc_collectives.twin
        if rank == 1 {
          functions.version = {
            $0!.pointee = 22902
            return 0
          }
        }
        return try NCCLLibrary(functions)
      }
    }
    #expect(problems.count == 2)
    for problem in problems {
      #expect(problem.reason.contains("2.27.7") && problem.reason.contains("rank 1 has 2.29.2"), "\(problem)")
    }
  }

  /// What one rank lacks, the others learn at once.
  @Test func saysWhoCannot() {
    let start = ContinuousClock.now
    let problems = refused(3) { rank, board, timeout in
      try TwinRank(rank, of: 3, on: board, timeout: timeout) {
        guard rank != 1 else { throw Problem(.engineFailed, "NCCL", "it is not installed.") }
        return try NCCLLibrary(.twin)
      }
    }
    #expect(problems.count == 3 && problems.allSatisfy { $0.code == .engineFailed })
    #expect(problems[1].reason == "it is not installed.")
    for index in [0, 2] { #expect(problems[index].reason.contains("rank 1 says: it is not installed.")) }
    #expect(ContinuousClock.now - start < .seconds(10))
    #expect(twin_living_communicators() == 0)
  }

  @Test func saysWhoDoesNotCome() {
    let problems = refused(3, timeout: 0.3) { rank, board, timeout in
      rank == 2 ? nil : try TwinRank(rank, of: 3, on: board, timeout: timeout)
    }
    #expect(problems.count == 2)
    for problem in problems {
      #expect(problem.code == .lostWorker && problem.reason.contains("rank 2 within 0.3 s"), "\(problem)")
    }
  }

  /// One that goes away while the others connect: its notice is there, and nothing else.
  @Test func saysWhoDoesNotConnect() throws {
    let problems = refused(2, timeout: 0.4) { rank, board, timeout in
      guard rank == 1 else { return try TwinRank(rank, of: 2, on: board, timeout: timeout) }
      let card = RankMeeting.Card(version: "2.27.7", identity: "other", place: "cuda:0 of host b")
      try board.set("card/1", try JSONEncoder().encode(card))
      return nil
    }
    #expect(problems.count == 1)
    #expect(
      problems.first?.code == .lostWorker && problems.first?.reason.contains("connected by NCCL") == true)
    #expect(twin_living_communicators() == 0)
  }

  @Test func refusesImpossibleRanks() {
    for rank in [-1, 2] {
      #expect {
        _ = try TwinRank(rank, of: 2, on: MemoryBoard(), timeout: 1)
      } throws: {
        isProblem($0, .badLauncher, "\(rank)")
      }
    }
  }

  /// By the store that processes share.
  @Test func meetsInAStore() throws {
    let port = try freePort()
    let all = Ranks.results(2) { rank in
      let store = try RendezvousStore(
        host: "127.0.0.1", port: port, serves: rank == 0, timeout: Self.patience)
      let twin = try TwinRank(rank, of: 2, on: try store.prefixed("a/"), timeout: Self.patience)
      let result = try twin.finished(twin.group.gathered(Tensor([Float(rank)])), Float.self)
      try store.set("done/\(rank)", Data([1]))
      // The one that serves stays for the other.
      _ = try store.value("done/\(1 - rank)", timeout: Self.patience)
      if rank == 0 { Thread.sleep(forTimeInterval: 0.1) }
      return result
    }
    for result in all { #expect(try result.get() == [0, 1]) }
  }

  /// Without a device the public way says so.
  @Test func needsADevice() throws {
    guard Engine.cudaDeviceCount == 0 else { return }
    let store = try RendezvousStore(
      host: "127.0.0.1", port: try freePort(), serves: true, timeout: Self.patience)
    #expect {
      _ = try NCCLGroup(store: store, name: "a", rank: 0, size: 1, device: .cuda(0), timeout: 1)
    } throws: {
      isProblem($0, .engineFailed)
    }
    #expect {
      _ = try NCCLGroup(store: store, name: "b", rank: 0, size: 1, device: .cpu, timeout: 1)
    } throws: {
      isProblem($0, .engineFailed, "cpu", "not a CUDA device")
    }
  }

  private func freePort() throws -> Int {
    let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(file) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(file, $0, length) | getsockname(file, $0, &length)
      }
    }
    try #require(status == 0)
    return Int(UInt16(bigEndian: address.sin_port))
  }
}
