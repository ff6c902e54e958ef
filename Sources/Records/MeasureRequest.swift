/// Activations to be measured.
public struct MeasureRequest: Codable, Sendable {
  /// A safetensors, npz or npy file.
  public var file: String
  /// Where arrays are that the file lacks or names otherwise: a file, `FILE:NAME`, or a name in the file itself.
  public var sources: [String: String] = [:]
  /// Arrays of the file that are not to be used.
  public var left: [String] = []
  /// Resampled sets for intervals; 0: none.
  public var resamples = 0
  /// Of the halves that temperature scaling fits and measures, and of resampling.
  public var seed = 0
  /// Bytes of a batch of features in `float64`.
  public var batchBytes = 32 << 20

  /// Everything of one file, by the usual names.
  public init(file: String) { self.file = file }
}
