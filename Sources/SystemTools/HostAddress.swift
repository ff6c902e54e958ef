import Foundation

/// Addresses of hosts, as the system resolves and routes them.
public enum HostAddress {
  /// What this host is called.
  public static var name: String { ProcessInfo.processInfo.hostName }

  /// Whether a name or an address means something here.
  public static func resolves(_ host: String) -> Bool {
    (try? withResolved(host) { _ in }) != nil
  }

  /// The address of this host from which another one is reached.
  ///
  /// Where the other one is this host under a name of its own (as Debian gives 127.0.1.1), it is the address that
  /// leads out, if there is one, since others are to reach it too.
  ///
  /// - Parameters:
  ///   - host: the other one.
  ///   - isAlone: whether nobody on another host has to reach this one.
  /// - Returns: nil for a host that cannot be resolved or is not to be reached.
  public static func own(facing host: String, isAlone: Bool) -> String? {
    if isAlone { return "127.0.0.1" }
    guard let address = local(facing: host) else { return nil }
    guard address.hasPrefix("127.") || address == "::1" else { return address }
    // Reserved for documentation: nothing is sent, the system only says which way it would go.
    return local(facing: "192.0.2.1") ?? address
  }

  /// The address that a datagram to a host would have as its sender.
  private static func local(facing host: String) -> String? {
    try? withResolved(host) { information -> String? in
      let family = information.ai_family
      let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue), 0)
      guard descriptor >= 0 else { return nil }
      defer { close(descriptor) }
      guard connect(descriptor, information.ai_addr, information.ai_addrlen) == 0 else { return nil }
      var storage = sockaddr_storage()
      var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
      return withUnsafeMutablePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
          guard getsockname(descriptor, address, &length) == 0 else { return nil }
          var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
          guard getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else {
            return nil
          }
          return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        }
      }
    } ?? nil
  }

  private struct Unresolved: Error {}

  private static func withResolved<Result>(_ host: String, _ body: (addrinfo) throws -> Result) throws
    -> Result
  {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "9", &hints, &found) == 0, let found else { throw Unresolved() }
    defer { freeaddrinfo(found) }
    return try body(found.pointee)
  }
}
