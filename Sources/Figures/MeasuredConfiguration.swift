import Experiment
import Foundation

/// What is read back of a measurement.
public struct MeasuredConfiguration: Decodable, Sendable {
  /// The numbers of docs/configuration.md.
  public struct Numbers: Decodable, Sendable {
    /// ε̂ at some weights of class i.
    public struct Elongation: Decodable, Sendable {
      public let lambda, epsilon, epsilonAtGap: Double
      public let samples: Int
    }

    public let sameClassSamples, differentClassSamples, cells: Int
    public let sameClassAlignment, sameClassEtfError, sameClassVariability, channelTightness: Double
    public let theoryGap, multiplier, featureDecay, sameClassFeatureDecay, convexityR2: Double
    public let confidenceTransport, channelDensity: Double?
    public let elongation: [Elongation]
  }

  public let classes, dimension: Int
  public let configuration: Numbers

  /// Reads what `collapse measure --json` printed.
  ///
  /// - Throws: `Failure` if the file is something else.
  public init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path),
      let value = try? JSONDecoder.collapse.decode(Self.self, from: data)
    else { throw Failure(.badData, "\(path) is not a measurement.") }
    self = value
  }
}
