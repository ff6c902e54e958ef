import Datasets
import Foundation
import Problems
import Synchronization
import Torch

/// Images of a step that were brought to a device for it.
public struct StagedImages: Sendable {
  /// M×H×W×C bytes, at the same address for every step.
  public let pixels: Tensor
  /// 0 ..< M.
  let rows: Tensor
}

/// Brings lists of images to one place on a device, one list after another: a thread reads those that come next.
///
/// The lists are known before they are wanted, so that what is staged depends on nothing but them. Only the thread that
/// stages works with the device; the other one reads into memory that it is given.
public final class ImageStager {
  /// Where the images of a list come to.
  public let staged: StagedImages
  private let images: ImageSet
  private let device: Device
  private let rows: Int
  /// Lists that are read before they are wanted.
  private let ahead: Int
  private var reading: Reading?

  /// A stager of lists of at most so many images.
  ///
  /// - Parameters:
  ///   - images: what lists are places of.
  ///   - rows: images of the longest list.
  ///   - device: where they are brought.
  ///   - ahead: lists that are read before they are wanted, each with room of its own on the host.
  /// - Throws: `TorchError` if there is no memory for them.
  public init(_ images: ImageSet, rows: Int, on device: Device, ahead: Int = 3) throws {
    (self.images, self.rows, self.device, self.ahead) = (images, rows, device, max(1, ahead))
    let shape = [rows, images.shape.height, images.shape.width, images.shape.channels]
    staged = try StagedImages(
      pixels: Tensor.uninitialized(shape, dtype: .uint8, device: device).checked(),
      rows: Tensor.range(rows, device: device).checked())
  }

  deinit { stop() }

  /// Starts to read; what was read of other lists is forgotten.
  ///
  /// - Parameter lists: places in the set of images, row after row, in the order in which they will be staged.
  /// - Throws: `TorchError` if there is no memory.
  public func begin(_ lists: some Sequence<[Int]> & Sendable) throws {
    stop()
    let reading = Reading()
    for _ in 0..<ahead { reading.give(try room()) }
    self.reading = reading
    Thread.detachNewThread { [images, rows] in reading.read(lists, of: images, atMost: rows) }
  }

  /// Puts the next list's images in their place, row k being the image at place k; does not wait for the device.
  ///
  /// - Parameter places: the list, which must be the next of those that were announced.
  /// - Throws: `Problem` if they are in a pack that is damaged; `TorchError` if a copy fails.
  public func stage(_ places: [Int]) throws {
    guard let reading, let next = try reading.next(), next.places == places else {
      throw Problem(.internalError, "images", "the images that are wanted are not those that were announced.")
    }
    let target = staged.pixels.narrowed(0..<places.count)
    try target.queueAssignment(of: next.pixels.narrowed(0..<places.count))
    // Pinned memory is given out again by libtorch, when the device has read it.
    reading.give(device == .cpu ? next.pixels : try room())
  }

  /// Ends the thread that reads, once it has read what it is at.
  public func stop() {
    reading?.stop()
    reading = nil
  }

  private func room() throws -> Tensor {
    let shape = staged.pixels.shape
    return try (device == .cpu ? Tensor.uninitialized(shape, dtype: .uint8) : .pinned(shape, dtype: .uint8))
      .checked()
  }
}

/// What the thread that reads and the one that stages share.
private final class Reading: Sendable {
  private struct State {
    /// Room to read into.
    var free: [Tensor] = []
    /// What was read, in order.
    var ready: [(places: [Int], pixels: Tensor)] = []
    /// Why no more is read.
    var failure: (any Error)?
    var isStopped = false
  }

  private let state = Mutex(State())
  /// One for each free room, and one to be woken by.
  private let room = DispatchSemaphore(value: 0)
  /// One for each list that was read, and one for the end.
  private let filled = DispatchSemaphore(value: 0)

  func give(_ tensor: Tensor) {
    state.withLock { $0.free.append(tensor) }
    room.signal()
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    room.signal()
  }

  /// Reads list after list into free room, until it is stopped or a list cannot be read.
  func read(_ lists: some Sequence<[Int]>, of images: ImageSet, atMost rows: Int) {
    for places in lists {
      room.wait()
      guard let tensor = state.withLock({ $0.isStopped ? nil : $0.free.popLast() }) else { return }
      do {
        guard places.count <= rows else {
          throw Problem(.internalError, "images", "\(places.count) images do not fit in \(rows) rows.")
        }
        try images.read(places, into: tensor)
      } catch {
        state.withLock { $0.failure = error }
        filled.signal()
        return
      }
      state.withLock { $0.ready.append((places, tensor)) }
      filled.signal()
    }
    filled.signal()
  }

  /// The next list that was read; nil after the last.
  func next() throws -> (places: [Int], pixels: Tensor)? {
    filled.wait()
    return try state.withLock { state in
      if !state.ready.isEmpty { return state.ready.removeFirst() }
      // Whoever asks again is told again.
      filled.signal()
      if let failure = state.failure { throw failure }
      return nil
    }
  }
}

/// The places of the images of every step, in the order of the steps.
struct StepPlaces: Sequence, IteratorProtocol, Sendable {
  private let planner: StepPlanner
  /// The images of each batch that are wanted, with their partners; nil: all.
  private let rows: Range<Int>?
  private var position: TrainingLoop.Position
  private var order: [Int]?

  /// Those of all steps from a place within training on.
  init(_ planner: StepPlanner, from position: TrainingLoop.Position, taking rows: Range<Int>? = nil) {
    self.planner = planner
    self.rows = rows
    self.position = position
  }

  mutating func next() -> [Int]? {
    if position.step >= planner.stepsPerEpoch {
      position = TrainingLoop.Position(epoch: position.epoch + 1)
      order = nil
    }
    guard position.epoch < planner.epochs, planner.stepsPerEpoch > 0 else { return nil }
    let order = order ?? planner.order(epoch: position.epoch)
    self.order = order
    let first = position.step * planner.batchSize
    defer { position.step += 1 }
    if let rows {
      return planner.numbers(order, epoch: position.epoch, step: position.step).taking(rows).images
    }
    return Array(order[first..<first + planner.batchSize])
  }
}
