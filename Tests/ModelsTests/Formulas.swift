import Foundation
import Torch

/// Weights and images that the scripts of Tests/References make by the same formulas, so that no file has to hold them.
enum Formulas {
  static let remainder = Operator("aten::remainder", "Scalar")

  /// Numbers in −1 to 1 without visible order.
  static func scatter(_ count: Int, _ place: Int) -> Tensor {
    let i = Tensor.range(count)
    let modulus = 2_147_483_647
    var x = remainder(.tensor(i * Tensor([7919]) + Tensor([place * 104_729 + 12_345])), .int(modulus))
    for _ in 0..<2 { x = remainder(.tensor(x * x + i), .int(modulus)) }
    return x.to(.float64) / Tensor([Double(modulus)]) * 2 - Tensor([1.0])
  }

  static func formula(_ name: String, _ shape: [Int], _ place: Int) -> Tensor {
    let u = scatter(shape.reduce(1, *), place).reshaped(shape)
    let one = Tensor([1.0])
    if name.hasSuffix("running_var") { return one + u * 0.5 }
    if shape.count == 1 { return name.hasSuffix("weight") ? one + u * 0.2 : u * 0.1 }
    return u * (3 / Double(shape.dropFirst().reduce(1, *))).squareRoot()
  }

  /// Relative to the length of what is expected.
  static func distance(_ found: some Collection<Double>, _ expected: [Double]) -> Double {
    let difference = zip(found, expected).reduce(0) { $0 + pow($1.0 - $1.1, 2) }
    let size = expected.reduce(0) { $0 + $1 * $1 }
    return found.count == expected.count ? (difference / size).squareRoot() : .infinity
  }
}
