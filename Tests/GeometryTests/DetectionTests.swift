import Geometry
import Randomness
import Testing

@Suite struct DetectionTests {
  /// By counting all pairs, and all thresholds.
  @Test func isWhatItsDefinitionSays() {
    var stream = RandomStream(seed: 3)
    for trial in 0..<60 {
      // Few values, so that there are ties.
      func scores(_ count: Int, _ shift: Int) -> [Double] {
        (0..<count).map { _ in Double(stream.nextInt(below: trial % 3 == 0 ? 4 : 1000) + shift) }
      }
      let (own, foreign) = (scores(1 + trial % 41, trial % 5), scores(1 + trial % 29, 0))
      let found = Detection(own: own, foreign: foreign)
      let wins = own.flatMap { a in foreign.map { b in a > b ? 1.0 : a == b ? 0.5 : 0 } }.reduce(0, +)
      #expect(abs(found.areaUnderROC - wins / Double(own.count * foreign.count)) < 1e-12)
      let threshold = own.filter { t in Double(own.count { $0 >= t }) >= 0.95 * Double(own.count) - 1e-9 }
        .max()!
      #expect(
        found.falsePositiveRateAt95 == Double(foreign.count { $0 >= threshold }) / Double(foreign.count))
    }
    #expect(Detection(own: [2, 3], foreign: [0, 1]) == Detection(own: [5, 6, 7], foreign: [1]))
    #expect(Detection(own: [0], foreign: [1]).areaUnderROC == 0)
  }
}
