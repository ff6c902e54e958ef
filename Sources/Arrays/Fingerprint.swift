import Foundation

/// A 64-bit number made from bytes (FNV-1a over words): against mistakes, not against malice.
public struct Fingerprint: Sendable, Equatable {
  /// The number so far.
  public private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

  /// That of nothing.
  public init() {}

  fileprivate mutating func add(_ word: UInt64) {
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
  public func adding(_ bytes: Data) -> Fingerprint { bytes.withUnsafeBytes { adding($0) } }

  /// That of what came before and bytes, whose number counts too.
  public func adding(_ bytes: UnsafeRawBufferPointer) -> Fingerprint {
    var stream = Stream(after: self, count: bytes.count)
    stream.add(bytes)
    return stream.end()
  }

  /// That of one piece of bytes, by four sums that a processor computes at once: not that which ``adding(_:)`` gives, and
  /// several times as fast.
  public init(ofBlock bytes: UnsafeRawBufferPointer) {
    var (a, b, c, d) = (Fingerprint(), Fingerprint(), Fingerprint(), Fingerprint())
    var place = 0
    func word(_ place: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }
    while place + 32 <= bytes.count {
      a.add(word(place))
      b.add(word(place + 8))
      c.add(word(place + 16))
      d.add(word(place + 24))
      place += 32
    }
    self = a.adding(UnsafeRawBufferPointer(rebasing: bytes[place...])).adding(bytes.count)
    for sum in [b, c, d] { add(sum.value) }
  }

  /// What ``adding(_:)`` gives of bytes that come one piece after another.
  public struct Stream: Sendable {
    private var fingerprint: Fingerprint
    /// Bytes that do not fill a word yet, the first of them lowest.
    private var rest: UInt64 = 0
    private var restCount = 0

    /// Begins after something else.
    ///
    /// - Parameter count: of all bytes that will come.
    public init(after fingerprint: Fingerprint, count: Int) { self.fingerprint = fingerprint.adding(count) }

    /// Adds the next piece.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
      var start = 0
      while restCount > 0, start < bytes.count { addToRest(bytes[start], &start) }
      // A local copy: the loop is all the time that this takes.
      var sum = fingerprint
      while start + 8 <= bytes.count {
        sum.add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)))
        start += 8
      }
      fingerprint = sum
      while start < bytes.count { addToRest(bytes[start], &start) }
    }

    private mutating func addToRest(_ byte: UInt8, _ start: inout Int) {
      rest |= UInt64(byte) << UInt64(8 * restCount)
      restCount += 1
      start += 1
      if restCount == 8 {
        fingerprint.add(rest)
        (rest, restCount) = (0, 0)
      }
    }

    /// The fingerprint of all that came.
    public func end() -> Fingerprint {
      var sum = fingerprint
      // What fills no word counts byte by byte.
      for place in 0..<restCount { sum.add(rest >> UInt64(8 * place) & 0xff) }
      return sum
    }
  }
}
