import Torch

private let bincount = Operator("aten::bincount")

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

  /// The exact statistics of N×H×W×C bytes, from the histogram of each channel.
  public init(of images: Tensor) throws {
    var mean: [Double] = []
    var deviation: [Double] = []
    for channel in 0..<images.shape[3] {
      let pixels = images.selected(channel, dimension: 3).reshaped([-1])
      let counts = try bincount(.tensor(pixels), .none, .int(256)).array(Double.self)
      let total = counts.reduce(0, +)
      let average = counts.enumerated().reduce(0) { $0 + $1.element * Double($1.offset) } / total
      let variance =
        counts.enumerated().reduce(0) { sum, bin in
          let difference = Double(bin.offset) - average
          return sum + bin.element * difference * difference
        } / total
      mean.append(average / 255)
      // A channel without contrast stays as it is.
      deviation.append(variance > 0 ? variance.squareRoot() / 255 : 1)
    }
    self.init(mean: mean, deviation: deviation)
  }

  /// N×H×W×C bytes to N×C×H×W numbers in `float32`, channels-last in memory.
  public func callAsFunction(_ images: Tensor) -> Tensor { placed(on: images.device)(images) }

  /// The same for many batches, all of them on this device.
  public func placed(on device: Device) -> Placed {
    Placed(
      scale: Tensor(deviation.map { Float(1 / (255 * $0)) }, device: device),
      shift: Tensor(zip(mean, deviation).map { Float(-$0 / $1) }, device: device))
  }

  /// A normalisation whose numbers are on a device.
  public struct Placed: Sendable {
    fileprivate let scale: Tensor
    fileprivate let shift: Tensor

    /// N×H×W×C bytes to N×C×H×W numbers in `float32`, channels-last in memory.
    public func callAsFunction(_ images: Tensor) -> Tensor {
      (images.to(.float32) * scale + shift).permuted([0, 3, 1, 2])
    }
  }
}
