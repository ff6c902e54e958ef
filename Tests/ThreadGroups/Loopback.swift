import Foundation
import Torch

/// Groups that exchange by Gloo over the loopback interface, their ranks being threads of one process.
public enum Loopback {
  /// A port that was free a moment ago.
  public static func freePort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(descriptor, $0, length)
        _ = getsockname(descriptor, $0, &length)
      }
      return Int(UInt16(bigEndian: $0.pointee.sin_port))
    }
  }

  /// Runs a body for each rank; gives what each has given or thrown.
  ///
  /// - Parameters:
  ///   - size: how many ranks there are.
  ///   - timeout: seconds that a rank may take to answer.
  ///   - body: given the rank's group and its store.
  /// - Throws: `TorchError` if there is no store.
  public static func results<Value: Sendable>(
    _ size: Int, timeout: Double = 20,
    _ body: @escaping @Sendable (GlooGroup, RendezvousStore) throws -> Value
  ) throws -> [Result<Value, any Error>] {
    let port = freePort()
    // The store is there until all are done.
    let served = try RendezvousStore(host: "127.0.0.1", port: port, serves: true, timeout: timeout)
    return withExtendedLifetime(served) {
      Ranks.results(size) { rank in
        let store = try RendezvousStore(host: "127.0.0.1", port: port, serves: false, timeout: timeout)
        let group = try GlooGroup(
          store, name: "test", rank: rank, size: size, interface: .address("127.0.0.1"), timeout: timeout)
        return try body(group, store)
      }
    }
  }
}
