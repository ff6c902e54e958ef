/// A reproducible stream of random numbers that is named, not seeded in passing.
///
/// A stream is a key and a position. Splitting by a name or number gives a stream that depends on
/// the key alone, so what one purpose draws never shifts what another does, and any position of
/// any stream can be reached at once: nothing but the seed and a count has to be stored to go on.
///
/// ```swift
/// var lambdas = RandomStream(seed: 7).split("mixup").split(epoch)
/// let lambda = lambdas.nextBeta(1)
/// ```
///
/// Numbers come from Philox4x32-10 (Salmon et al., *Parallel Random Numbers: As Easy as 1, 2, 3*,
/// SC 2011), a counter-based generator that passes BigCrush.
public struct RandomStream: RandomNumberGenerator, Sendable, Equatable {
  /// Identifies the stream.
  public let key: UInt64
  /// How many 64-bit numbers have been drawn.
  public private(set) var position: UInt64

  /// The root stream of a seed.
  public init(seed: UInt64) { self.init(key: Self.scramble(seed &+ 0x9e37_79b9_7f4a_7c15), position: 0) }

  /// The stream of a key at a position, as a checkpoint stores them.
  public init(key: UInt64, position: UInt64) {
    self.key = key
    self.position = position
  }

  /// The stream of this name below this one; independent of the position.
  public func split(_ name: String) -> RandomStream {
    // FNV-1a over the name, then mixed with the key so that names and numbers don't collide.
    let hash = name.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return RandomStream(key: Self.scramble(Self.scramble(key ^ 0x6a09_e667_f3bc_c908) ^ hash), position: 0)
  }

  /// The stream of this number below this one; independent of the position.
  public func split(_ number: Int) -> RandomStream {
    let hash = UInt64(bitPattern: Int64(number)) &* 0x9e37_79b9_7f4a_7c15
    return RandomStream(key: Self.scramble(Self.scramble(key ^ 0xbb67_ae85_84ca_a73b) ^ hash), position: 0)
  }

  /// The next 64 uniformly random bits.
  public mutating func next() -> UInt64 {
    let block = Philox.block(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: position >> 1), UInt32(truncatingIfNeeded: position >> 33), 0, 0),
      key: SIMD2(UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)))
    defer { position &+= 1 }
    return position & 1 == 0
      ? UInt64(block.x) | UInt64(block.y) << 32 : UInt64(block.z) | UInt64(block.w) << 32
  }

  /// A bijection of 64-bit numbers without visible structure: the finaliser of SplitMix64 (Steele,
  /// Lea & Flood, OOPSLA 2014).
  private static func scramble(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// The Philox4x32-10 block function.
enum Philox {
  /// Ten rounds over a counter of four words under a key of two.
  static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var state = counter
    var key = key
    for _ in 0..<10 {
      let first = UInt64(state.x) * 0xd251_1f53
      let second = UInt64(state.z) * 0xcd9e_8d57
      state = SIMD4(
        UInt32(second >> 32) ^ state.y ^ key.x, UInt32(truncatingIfNeeded: second),
        UInt32(first >> 32) ^ state.w ^ key.y, UInt32(truncatingIfNeeded: first))
      key &+= SIMD2(0x9e37_79b9, 0xbb67_ae85)
    }
    return state
  }
}
