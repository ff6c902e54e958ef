import Foundation

/// A 64-bit number made from bytes (FNV-1a over words): against mistakes, not against malice.
public struct Fingerprint: Sendable, Equatable {
  /// The number so far.
  public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  /// That of nothing.
  public init() {}

  private mutating func add(_ word: UInt64) {
    // Multiplication moves bits up only; without the shift the upper ones would never come down.
    value = (value ^ word) &* 0x100_0000_01b3
    value ^= value >> 29
  }

  /// That of what came before and a number.
  public func adding(_ number: Int) -> Fingerprint {
    var copy = self
    copy.add(UInt64(bitPattern: Int64(number)))
    return copy
  }

  /// That of what came before and a text.
  public func adding(_ text: String) -> Fingerprint { adding(Data(text.utf8)) }

  /// That of what came before and bytes, whose number counts too.
  public func adding(_ bytes: Data) -> Fingerprint {
    var copy = adding(bytes.count)
    bytes.withUnsafeBytes { buffer in
      for word in 0..<buffer.count / 8 {
        copy.add(buffer.loadUnaligned(fromByteOffset: 8 * word, as: UInt64.self))
      }
      for byte in buffer.dropFirst(buffer.count / 8 * 8) { copy.add(UInt64(byte)) }
    }
    return copy
  }
}
