import Testing

@testable import Sweeps

@Suite struct SlurmArrayTests {
  @Test(
    arguments: [
      ([], ""), ([5], "5"), ([0, 1, 2, 3], "0-3"), ([7, 3, 2, 0, 1], "0-3,7"), ([4, 2, 2, 0], "0,2,4"),
      ([1, 2], "1-2"),
    ] as [([Int], String)])
  func ranges(_ numbers: [Int], _ text: String) {
    #expect(CellRanges(numbers).description == text)
    if !numbers.isEmpty { #expect(CellRanges(text) == CellRanges(numbers)) }
  }

  /// What is written is what is read, whatever the numbers.
  @Test func rangesOfAnyNumbers() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      let numbers = (0..<Int.random(in: 1...60, using: &generator)).map { _ in
        Int.random(in: 0..<80, using: &generator)
      }
      #expect(CellRanges(CellRanges(numbers).description)?.numbers == Set(numbers).sorted(), "\(numbers)")
    }
  }

  @Test(arguments: ["", "a", "3-1", "1-2-3", "1,,2", "-1", "1-", "0-99999999999", "1:2", "1-4:2", "5..."])
  func noRanges(_ text: String) { #expect(CellRanges(text) == nil) }

  @Test func limitsAreLeftOut() { #expect(CellRanges("0-3,7%2")?.numbers == [0, 1, 2, 3, 7]) }

  /// MaxArraySize caps the index: the largest is one less.
  @Test func split() {
    let arrays = SlurmArray.arrays(of: Array(0..<20), limit: 8)
    #expect(arrays.map(\.offset) == [0, 8, 16])
    #expect(arrays.map(\.indices.description) == ["0-7", "0-7", "0-3"])
    #expect(arrays.map(\.cells.description) == ["0-7", "8-15", "16-19"])
    #expect(SlurmArray.arrays(of: Array(0..<8), limit: 8).count == 1)
    #expect(SlurmArray.arrays(of: [], limit: 8).isEmpty)
    // Only stretches with open cells.
    let some = SlurmArray.arrays(of: [3000, 3001, 3007, 5], limit: 1000)
    #expect(some.map(\.offset) == [0, 3000] && some.map(\.indices.description) == ["5", "0-1,7"])
  }

  /// Every cell is in one array, with an index that Slurm takes.
  @Test func splitOfAnyCells() {
    for limit in [1, 2, 7, 1001] {
      for _ in 0..<20 {
        let cells = (0..<Int.random(in: 1...50)).map { _ in Int.random(in: 0..<3000) }
        let arrays = SlurmArray.arrays(of: cells, limit: limit)
        #expect(arrays.flatMap(\.cells.numbers) == Set(cells).sorted())
        for array in arrays {
          #expect(array.indices.numbers.allSatisfy { (0..<limit).contains($0) })
          #expect(array.indices.numbers.map { $0 + array.offset } == array.cells.numbers)
        }
      }
    }
  }

  @Test func quotedWords() {
    let words = [
      ("plain-1.2_x/y:z@a%b+c,d", "plain-1.2_x/y:z@a%b+c,d"), ("", "''"), ("a b", "'a b'"),
      ("it's", "'it'\\''s'"), ("$HOME", "'$HOME'"), ("a\nb", "'a\nb'"), ("~", "'~'"), ("--x=1", "--x=1"),
      ("x=1", "'x=1'"),
      ("é", "'é'"),
    ]
    for (word, text) in words { #expect(ShellWord.quoted(word) == text) }
  }
}
