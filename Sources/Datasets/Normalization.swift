/// Shifts and scales pixels so that each channel has mean 0 and standard deviation 1.
public struct Normalization: Sendable, Equatable {
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
  public init(of images: ImageSet) {
    let channels = images.shape.channels
    var counts = [Int](repeating: 0, count: 256 * channels)
    images.pixels.withUnsafeBytes { bytes in
      counts.withUnsafeMutableBufferPointer { counts in
        var channel = 0
        for byte in bytes {
          counts[256 * channel + Int(byte)] += 1
          channel = channel + 1 == channels ? 0 : channel + 1
        }
      }
    }
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
