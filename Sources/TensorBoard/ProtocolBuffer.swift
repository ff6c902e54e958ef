import Foundation

/// A message in the wire format of Protocol Buffers, put together field by field.
struct ProtocolBuffer {
  private(set) var bytes = Data()

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func key(_ field: Int, _ wireType: UInt64) { varint(UInt64(field) << 3 | wireType) }

  private mutating func littleEndian(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func add(_ field: Int, _ value: Int) {
    key(field, 0)
    varint(UInt64(bitPattern: Int64(value)))
  }

  mutating func add(_ field: Int, _ value: Double) {
    key(field, 1)
    littleEndian(value.bitPattern)
  }

  mutating func add(_ field: Int, _ value: Float) {
    key(field, 5)
    littleEndian(value.bitPattern)
  }

  mutating func add(_ field: Int, _ value: Data) {
    key(field, 2)
    varint(UInt64(value.count))
    bytes.append(value)
  }

  mutating func add(_ field: Int, _ value: String) { add(field, Data(value.utf8)) }

  /// A message within this one.
  mutating func add(_ field: Int, _ build: (inout ProtocolBuffer) -> Void) {
    var inner = ProtocolBuffer()
    build(&inner)
    add(field, inner.bytes)
  }
}

/// The checksum of a TFRecord: CRC-32C, turned and shifted so that the sum of a sum is not trivial.
func maskedChecksum(_ data: Data) -> UInt32 {
  var remainder: UInt32 = 0xffff_ffff
  for byte in data { remainder = checksumTable[Int((remainder ^ UInt32(byte)) & 0xff)] ^ (remainder >> 8) }
  let checksum = ~remainder
  return ((checksum >> 15) | (checksum << 17)) &+ 0xa282_ead8
}

private let checksumTable: [UInt32] = (0..<256).map { index in
  (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0x82f6_3b78 ^ (value >> 1) : value >> 1 }
}
