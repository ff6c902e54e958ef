/// Shifts and scales pixels so that each channel has mean 0 and standard deviation 1.
public struct Normalization: Sendable, Equatable, Codable {
  /// Mean a channel, of pixels scaled to 0…1.
  public let mean: [Double]
  /// Standard deviation a channel, of pixels scaled to 0…1 (population).
  public let deviation: [Double]

  /// Given statistics, one a channel.
  public init(mean: [Double], deviation: [Double]) {
    self.mean = mean
    self.deviation = deviation
  }

  /// The exact statistics of images, from the histogram of each channel.
  ///
  /// - Throws: `Problem` if the images are in a pack that is damaged.
  public init(of images: ImageSet) throws {
    self = try images.remembered("normalization") {
      var histogram = PixelHistogram(channels: images.shape.channels)
      try images.forEachPiece { histogram.add($0) }
      return Normalization(of: histogram)
    }
  }

  /// The statistics of what was counted.
  init(of histogram: PixelHistogram) {
    let (counts, channels) = (histogram.counts, histogram.channels)
    var mean: [Double] = []
    var deviation: [Double] = []
    for channel in 0..<channels {
      let bins = counts[256 * channel..<256 * (channel + 1)].map(Double.init)
      let total = bins.reduce(0, +)
      let average = bins.enumerated().reduce(0) { $0 + $1.element * Double($1.offset) } / total
      let variance =
        bins.enumerated().reduce(0) { sum, bin in
          let difference = Double(bin.offset) - average
          return sum + bin.element * difference * difference
        } / total
      mean.append(average / 255)
      // A channel without contrast stays as it is.
      deviation.append(variance > 0 ? variance.squareRoot() / 255 : 1)
    }
    self.init(mean: mean, deviation: deviation)
  }
}

/// How often each value occurs in each channel of some pixels.
struct PixelHistogram {
  /// C.
  let channels: Int
  /// 256 numbers a channel.
  private(set) var counts: [Int]

  init(channels: Int) {
    self.channels = channels
    counts = [Int](repeating: 0, count: 256 * channels)
  }

  /// Counts the bytes of whole pixels.
  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    let channels = channels
    counts.withUnsafeMutableBufferPointer { counts in
      var channel = 0
      for byte in bytes {
        counts[256 * channel + Int(byte)] += 1
        channel = channel + 1 == channels ? 0 : channel + 1
      }
    }
  }
}
