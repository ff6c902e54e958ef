import Foundation

@testable import TensorBoard

/// TensorBoard's event files, which are only written: a small reader finds in them what was put there.
struct EventFuzzing: FuzzedParser {
  static let name = "events"
  static let dictionary: [String] = []

  private let directory: MemoryDirectory

  init() throws { directory = try MemoryDirectory(Self.name) }

  static func seeds() -> [[UInt8]] {
    let number = withUnsafeBytes(of: (0.5).bitPattern.bigEndian) { Array($0) }
    let scalar: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 3] + Array("a/b".utf8) + number
    let image: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 2, 30] + [UInt8](repeating: 1, count: 30) + [1, 97]
    let settings: [UInt8] = [2, 3, 1, 97, 0, 1, 98, 1, 97, 1] + number + [1, 97, 2, 1]
    return [scalar, image, settings, [3, 1], scalar + image + settings + [3, 2]]
  }

  func check(_ input: [UInt8]) throws {
    var reader = InputReader(input)
    let file = unrefused("file") { try EventFile(directory: directory.path, suffix: "1") { 1 } }
    defer { unlink(file.path) }
    var expected = [Event(version: "brain.Event:2")]
    while !reader.isEmpty, expected.count < 16 {
      switch reader.byte() % 4 {
      case 0:
        let step = Int(truncatingIfNeeded: reader.word())
        let scalars = (0..<reader.byte() % 4).map { _ in
          (tag: reader.text(), value: Double(bitPattern: reader.word()))
        }
        unrefused("scalars") { try file.add(scalars, step: step) }
        let finite = scalars.filter { Float($0.value).isFinite }
        if !finite.isEmpty {
          expected.append(Event(step: step, tags: finite.map(\.tag), scalars: finite.map { Float($0.value) }))
        }
      case 1:
        let step = Int(truncatingIfNeeded: reader.word())
        let (png, tag) = (Data(reader.bytes()), reader.text())
        unrefused("image") { try file.add(png: png, tag: tag, step: step) }
        if png.count > 24 { expected.append(Event(step: step, tags: [tag], image: png)) }
      case 2:
        let values: [(name: String, value: EventFile.Value)] = (0..<reader.byte() % 4).map { _ in
          let name = reader.text()
          switch reader.byte() % 3 {
          case 0: return (name, .text(reader.text()))
          case 1: return (name, .number(Double(bitPattern: reader.word())))
          default: return (name, .flag(reader.byte() % 2 == 1))
          }
        }
        unrefused("settings") { try file.add(hyperparameters: values, metrics: [reader.text()]) }
        expected.append(Event(tags: ["_hparams_/experiment"], isPlugin: true))
        expected.append(Event(tags: ["_hparams_/session_start_info"], isPlugin: true))
      default:
        unrefused("end") { try file.end(EventFile.Ending(rawValue: Int(reader.byte() % 3) + 1) ?? .success) }
        expected.append(Event(tags: ["_hparams_/session_end_info"], isPlugin: true))
      }
    }
    let bytes = unrefused("file") { try Data(contentsOf: URL(fileURLWithPath: file.path)) }
    let found = Event.read(Array(bytes))
    require(found == expected, "\(expected) became \(found)")
  }
}

/// What a reader finds in an event.
private struct Event: Equatable {
  var step = 0
  var version: String?
  var tags: [String] = []
  var scalars: [Float] = []
  var image: Data?
  var isPlugin = false

  /// The events of TFRecords, whose checksums must be right.
  static func read(_ bytes: [UInt8]) -> [Event] {
    var events: [Event] = []
    var rest = bytes[...]
    func number(_ count: Int) -> UInt64 {
      let taken = rest.prefix(count)
      require(taken.count == count, "a record is cut short")
      rest = rest.dropFirst(count)
      return taken.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    while !rest.isEmpty {
      let head = Data(rest.prefix(8))
      let count = Int(number(8))
      require(number(4) == checksum(head), "another checksum of a length")
      let content = Data(rest.prefix(count))
      rest = rest.dropFirst(count)
      require(number(4) == checksum(content), "another checksum of a record")
      events.append(Event(Array(content)))
    }
    return events
  }

  init(
    step: Int = 0, version: String? = nil, tags: [String] = [], scalars: [Float] = [], image: Data? = nil,
    isPlugin: Bool = false
  ) {
    (self.step, self.version, self.tags, self.scalars) = (step, version, tags, scalars)
    (self.image, self.isPlugin) = (image, isPlugin)
  }

  private init(_ bytes: [UInt8]) {
    for field in Field.all(bytes) {
      switch field.number {
      case 2: step = Int(truncatingIfNeeded: field.value)
      case 3: version = String(decoding: field.bytes, as: UTF8.self)
      case 5: for entry in Field.all(field.bytes) { add(entry.bytes) }
      default: break
      }
    }
  }

  private mutating func add(_ entry: [UInt8]) {
    for field in Field.all(entry) {
      switch field.number {
      case 1: tags.append(String(decoding: field.bytes, as: UTF8.self))
      case 2: scalars.append(Float(bitPattern: UInt32(field.value)))
      case 4: image = Field.all(field.bytes).first { $0.number == 4 }.map { Data($0.bytes) }
      case 9: isPlugin = true
      default: break
      }
    }
  }

  /// Bit by bit.
  private static func checksum(_ data: Data) -> UInt64 {
    var remainder: UInt32 = 0xffff_ffff
    for byte in data {
      remainder ^= UInt32(byte)
      for _ in 0..<8 { remainder = remainder & 1 == 1 ? 0x82f6_3b78 ^ (remainder >> 1) : remainder >> 1 }
    }
    let sum = ~remainder
    return UInt64(((sum >> 15) | (sum << 17)) &+ 0xa282_ead8)
  }
}

/// A field of a message of Protocol Buffers.
private struct Field {
  let number: UInt64
  var value: UInt64 = 0
  var bytes: [UInt8] = []

  static func all(_ message: [UInt8]) -> [Field] {
    var rest = message[...]
    func varint() -> UInt64 {
      var (value, shift): (UInt64, UInt64) = (0, 0)
      while let byte = rest.popFirst() {
        value |= UInt64(byte & 0x7f) << shift
        shift += 7
        if byte < 0x80 { return value }
      }
      fatalError("a number is cut short")
    }
    func take(_ count: Int) -> [UInt8] {
      require(count <= rest.count, "a field is cut short")
      defer { rest = rest.dropFirst(count) }
      return Array(rest.prefix(count))
    }
    var fields: [Field] = []
    while !rest.isEmpty {
      let key = varint()
      var field = Field(number: key >> 3)
      switch key & 7 {
      case 0: field.value = varint()
      case 1: field.value = take(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      case 2: field.bytes = take(Int(varint()))
      case 5: field.value = take(4).reversed().reduce(0) { $0 << 8 | UInt64($1) }
      default: fatalError("a field of type \(key & 7)")
      }
      fields.append(field)
    }
    return fields
  }
}
