import Foundation
import Problems
import Randomness

/// Training and test images of one data set, with the statistics that normalise them.
public struct ImageDataset: Sendable {
  /// Its name.
  public let name: String
  /// What the classes are called.
  public let classNames: [String]
  /// Their numbers in the whole data set.
  public let classNumbers: [Int]
  /// What is trained on.
  public let training: ImageSet
  /// Training images that are held out to be measured on; nil if there are none.
  public private(set) var validation: ImageSet?
  /// What is tested on.
  public let test: ImageSet
  /// Mean and standard deviation a channel, of training pixels scaled to 0…1.
  public private(set) var normalization: Normalization
  /// Where it was found.
  public let origin: String
  /// What whoever uses it should know, such as images that were left out.
  public internal(set) var notes: [String] = []

  /// Height, width and channels of the images.
  public var shape: ImageShape { training.shape }
  /// Number of classes.
  public var classes: Int { classNames.count }

  /// A data set; unless given, its classes are numbered from 0, and its normalisation is computed
  /// from the training images.
  ///
  /// - Throws: `Problem` if these are to be read for it and their pack is damaged.
  public init(
    name: String, classNames: [String], training: ImageSet, test: ImageSet, origin: String,
    classNumbers: [Int]? = nil, normalization: Normalization? = nil
  ) throws {
    self.name = name
    self.classNames = classNames
    self.classNumbers = classNumbers ?? Array(classNames.indices)
    self.training = training
    self.test = test
    self.origin = origin
    self.normalization = try normalization ?? Normalization(of: training)
  }

  /// The same images with another normalisation, such as that which a network was trained with.
  ///
  /// - Throws: `Problem` unless there is a positive deviation and a mean a channel.
  public func normalized(by normalization: Normalization) throws -> ImageDataset {
    let channels = shape.channels
    guard normalization.mean.count == channels, normalization.deviation.count == channels,
      normalization.deviation.allSatisfy({ $0 > 0 && $0.isFinite }), normalization.mean.allSatisfy(\.isFinite)
    else {
      throw Problem(
        .unfitNormalization, name,
        "images of \(channels) channels need a mean and a positive deviation each, of pixels scaled to 0…1; "
          + "given are means \(normalization.mean) and deviations \(normalization.deviation).")
    }
    var copy = self
    copy.normalization = normalization
    return copy
  }

  /// The part with only some classes, renumbered in the order given, and at most so many images.
  ///
  /// - Parameters:
  ///   - keep: class numbers; empty keeps all.
  ///   - heldOut: training images to hold out for validation, which `stream` draws; of each class its
  ///     share, whatever the limits are.
  ///   - trainLimit: the first so many training images that are kept and not held out; 0 keeps all.
  ///   - testLimit: likewise for test images.
  ///   - stream: that held-out images are drawn from.
  /// - Throws: `Problem` for a class that does not exist, when no image is left, or for a pack that is damaged.
  public func restricted(
    classes keep: [Int] = [], validation heldOut: Int = 0, trainLimit: Int = 0, testLimit: Int = 0,
    _ stream: RandomStream
  ) throws -> ImageDataset {
    if let unknown = keep.first(where: { !(0..<classes).contains($0) }) {
      throw Problem(
        .unknownClass, "\(unknown)", "\(name) has no class \(unknown): its classes are 0 to \(classes - 1).",
        choices: classNames.enumerated().map { "\($0): \($1)" })
    }
    let kept = keep.isEmpty ? Array(0..<classes) : keep
    let number = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
    func members(_ set: ImageSet) -> [Int] { set.labels.indices.filter { number[set.labels[$0]] != nil } }
    func part(_ set: ImageSet, _ indices: [Int]) -> ImageSet {
      if indices.count == set.count, keep.isEmpty { return set }
      return set.selected(indices).relabelled { number[$0]! }
    }
    func limited(_ all: [Int], _ limit: Int, _ what: String) throws -> [Int] {
      guard limit <= all.count else {
        throw Problem(
          .tooFewImages, what,
          "\(limit) \(what) images were asked for, but \(name) has \(all.count) of these classes"
            + (what == "train" && heldOut > 0 ? " that are not held out." : "."))
      }
      guard !all.isEmpty else {
        throw Problem(.tooFewImages, "classes", "\(name) has no \(what) images of these classes.")
      }
      return limit == 0 ? all : Array(all.prefix(limit))
    }
    let all = members(training)
    guard heldOut < max(1, all.count) else {
      throw Problem(
        .tooFewImages, "validation",
        "\(heldOut) training images were to be held out, but \(name) has \(all.count) of these classes.")
    }
    let validation = Set(Self.sample(heldOut, of: all, labels: training.labels, stream))
    let trained = try limited(all.filter { !validation.contains($0) }, trainLimit, "train")
    var result = try ImageDataset(
      name: name, classNames: kept.map { classNames[$0] }, training: part(training, trained),
      test: part(test, limited(members(test), testLimit, "test")), origin: origin,
      classNumbers: kept.map { classNumbers[$0] },
      normalization: trained.count == training.count ? normalization : nil)
    result.notes = notes
    result.validation = heldOut > 0 ? part(training, validation.sorted()) : nil
    return result
  }

  /// So many of the images at `indices`, of each class its share to within one.
  private static func sample(_ count: Int, of indices: [Int], labels: [Int], _ stream: RandomStream) -> [Int]
  {
    guard count > 0 else { return [] }
    var stream = stream
    let members = Dictionary(grouping: indices) { labels[$0] }.sorted { $0.key < $1.key }.map(\.value)
    // Largest remainders; equal ones in the order of the classes.
    var shares = members.map { $0.count * count / indices.count }
    let byRemainder = members.indices.sorted {
      let (a, b) = (members[$0].count * count % indices.count, members[$1].count * count % indices.count)
      return (b, $0) < (a, $1)
    }
    for index in byRemainder.prefix(count - shares.reduce(0, +)) { shares[index] += 1 }
    return zip(members, shares).flatMap { members, share in
      let order = stream.nextPermutation(members.count)
      return order.prefix(share).map { members[$0] }
    }
  }
}
