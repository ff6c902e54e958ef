import Foundation
import SystemTools

/// An event file as TensorBoard reads it: scalars, images, and the run's hyperparameters.
///
/// The file is a sequence of TFRecords, each an `Event` message of TensorFlow's `event.proto`. Every
/// stretch of a run writes a file of its own; where it goes on from an earlier step, it says so, and
/// TensorBoard drops what an earlier file has from there on.
public final class EventFile {
  /// A hyperparameter's value.
  public enum Value: Sendable, Equatable {
    case text(String)
    case number(Double)
    case flag(Bool)
  }

  /// How a session ended.
  public enum Ending: Int, Sendable {
    case success = 1
    case failure = 2
    case running = 3
  }

  /// The file.
  public let path: String
  private let now: () -> Double

  /// A new file in a directory.
  ///
  /// - Parameters:
  ///   - resumedAt: the first step that this file will have again; nil for a run that starts.
  ///   - suffix: what keeps files of the same second apart.
  /// - Throws: `POSIXError` if it cannot be written.
  public init(
    directory: String, resumedAt step: Int? = nil,
    suffix: String = "\(ProcessInfo.processInfo.processIdentifier)",
    now: @escaping () -> Double = { Date().timeIntervalSince1970 }
  ) throws {
    self.now = now
    let host = ProcessInfo.processInfo.hostName.filter { $0.isLetter || $0.isNumber || $0 == "-" }
    path = "\(directory)/events.out.tfevents.\(String(format: "%010d", Int(now()))).\(host).\(suffix)"
    try write { $0.add(3, "brain.Event:2") }
    if let step {
      try write(step: step) { event in event.add(7) { $0.add(1, 1) } }
    }
  }

  /// Adds values of one step, as float32; those that are not finite are left out.
  public func add(_ scalars: [(tag: String, value: Double)], step: Int) throws {
    let finite = scalars.filter { Float($0.value).isFinite }
    guard !finite.isEmpty else { return }
    try write(step: step) { event in
      event.add(5) { summary in
        for (tag, value) in finite {
          summary.add(1) { entry in
            entry.add(1, tag)
            entry.add(2, Float(value))
          }
        }
      }
    }
  }

  /// Adds an image.
  ///
  /// - Parameter png: the bytes of a PNG file.
  public func add(png: Data, tag: String, step: Int) throws {
    // Width and height, big-endian, in the header chunk.
    guard png.count > 24 else { return }
    func number(_ place: Int) -> Int { png.dropFirst(place).prefix(4).reduce(0) { $0 << 8 | Int($1) } }
    try write(step: step) { event in
      event.add(5) { summary in
        summary.add(1) { entry in
          entry.add(1, tag)
          entry.add(4) { image in
            image.add(1, number(20))
            image.add(2, number(16))
            image.add(3, 4)
            image.add(4, png)
          }
        }
      }
    }
  }

  /// Adds the run's settings for TensorBoard's table of hyperparameters.
  ///
  /// - Parameters:
  ///   - metrics: tags of the scalars to show beside them.
  public func add(hyperparameters: [(name: String, value: Value)], metrics: [String]) throws {
    try plugin("_hparams_/experiment") { data in
      data.add(2) { experiment in
        for (name, value) in hyperparameters {
          experiment.add(4) { info in
            info.add(1, name)
            let type =
              switch value {
              case .text: 1;
              case .flag: 2;
              case .number: 3
              }
            info.add(4, type)
          }
        }
        for tag in metrics { experiment.add(5) { info in info.add(1) { $0.add(2, tag) } } }
      }
    }
    try plugin("_hparams_/session_start_info") { data in
      data.add(3) { start in
        for (name, value) in hyperparameters {
          start.add(1) { entry in
            entry.add(1, name)
            entry.add(2) { content in
              switch value {
              case .number(let number): content.add(2, number)
              case .text(let text): content.add(3, text)
              case .flag(let flag): content.add(4, flag ? 1 : 0)
              }
            }
          }
        }
        start.add(5, now())
      }
    }
  }

  /// Says how the session ended.
  public func end(_ ending: Ending) throws {
    try plugin("_hparams_/session_end_info") { data in
      data.add(4) { end in
        end.add(1, ending.rawValue)
        end.add(2, now())
      }
    }
  }

  /// A summary without a value, whose metadata are for the plugin of hyperparameters.
  private func plugin(_ tag: String, _ build: (inout ProtocolBuffer) -> Void) throws {
    var data = ProtocolBuffer()
    data.add(1, 0)
    build(&data)
    try write(step: 0) { event in
      event.add(5) { summary in
        summary.add(1) { entry in
          entry.add(1, tag)
          entry.add(9) { metadata in
            metadata.add(1) { plugin in
              plugin.add(1, "hparams")
              plugin.add(2, data.bytes)
            }
          }
        }
      }
    }
  }

  private func write(step: Int? = nil, _ build: (inout ProtocolBuffer) -> Void) throws {
    var event = ProtocolBuffer()
    event.add(1, now())
    if let step { event.add(2, step) }
    build(&event)
    var record = Data()
    func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { record.append(contentsOf: $0) }
    }
    append(UInt64(event.bytes.count))
    let length = record
    append(maskedChecksum(length))
    record.append(event.bytes)
    append(maskedChecksum(event.bytes))
    let descriptor = uninterrupted { open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }
    defer { if descriptor >= 0 { close(descriptor) } }
    // One call: a reader never sees a record of which more is still to come but at a full disk.
    let count =
      descriptor < 0
      ? -1
      : record.withUnsafeBytes { bytes in
        uninterrupted { Foundation.write(descriptor, bytes.baseAddress, bytes.count) }
      }
    guard count == record.count else {
      throw POSIXError(POSIXErrorCode(rawValue: count < 0 ? errno : ENOSPC) ?? .EIO)
    }
  }
}
