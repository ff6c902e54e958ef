import Foundation
import Testing

@testable import Records

@Suite struct NumberListTests {
  @Test func names() {
    var list: NumberList = ["a": 1, "b": nil, "c": .nan, "d": .infinity]
    list.append(["x": 2, "y.z": 3], under: "level")
    #expect(list.entries.map(\.name) == ["a", "level.x", "level.y.z"])
    #expect(list["level.y.z"] == 3 && list["b"] == nil)
  }

  /// Every name of the catalogue, and others that look like Swift's or like words of several parts.
  @Test func comeBack() throws {
    let names =
      NumberCatalogue.measures.flatMap(\.entries).map(\.path)
      + (NumberCatalogue.training + NumberCatalogue.mixtures + NumberCatalogue.course).map(\.path)
      + ["ece_l1_15_x", "a_1", "top.middle.ece_l1_15", "top.middle.nc1_pinv", "top.single"]
    var list: NumberList = [:]
    for (index, name) in Set(names).sorted().enumerated() {
      list.append(NumberList(dictionaryLiteral: (name, Double(index) + 0.5)))
    }
    let text = try JSONEncoder.collapse.text(list)
    let again = try JSONDecoder.collapse.decode(NumberList.self, from: Data(text.utf8))
    func sorted(_ list: NumberList) -> [NumberList.Entry] { list.entries.sorted { $0.name < $1.name } }
    #expect(sorted(again) == sorted(list) && again.entries.count == Set(names).count)
  }

  /// Keys that are no names of ours leave the list the same when it is written and read again.
  @Test func readsTheSameAgain() throws {
    let json = #"{"A":1,"_b":2,"_a":3,"a.b":4,"a":{"b":5,"":6},"":7,"aB":8,"a_b":9}"#
    let list = try JSONDecoder.collapse.decode(NumberList.self, from: Data(json.utf8))
    let again = try JSONDecoder.collapse.decode(NumberList.self, from: JSONEncoder.collapse.encode(list))
    #expect(again == list)
    #expect(list["a.b"] == 5 && Set(list.entries.map(\.name)).count == list.entries.count)
  }

  @Test func keys() {
    for name in ["ece_l1_15", "a_1", "x_1y", "_a", "a__b"] { #expect(JSONKey.camelCase(name) == name) }
    #expect(JSONKey.camelCase("test_accuracy") == "testAccuracy")
    #expect(JSONKey.snakeCase("testAccuracy") == "test_accuracy")
    #expect(
      JSONKey.snakeCase("convexityR2") == "convexity_r2" && JSONKey.camelCase("convexity_r2") == "convexityR2"
    )
  }
}

@Suite struct NumberCatalogueTests {
  static let measures = NumberCatalogue.measures.flatMap(\.entries)
  static let others =
    NumberCatalogue.training + NumberCatalogue.mixtures + NumberCatalogue.evaluation + NumberCatalogue.course

  /// Each number once, with a title and, in tables, an explanation.
  @Test func unique() {
    for list in [Self.measures, Self.others] {
      let paths = list.map(\.path)
      #expect(Set(paths).count == paths.count)
      #expect(
        list.allSatisfy { $0.path == $0.name || $0.path.hasSuffix(".\($0.name)") }
      )
    }
    #expect(Self.others.allSatisfy { !$0.title.isEmpty && !$0.meaning.isEmpty })
    #expect(Self.measures.allSatisfy { !$0.explanation.isEmpty })
    let titles = NumberCatalogue.measures.map(\.title)
    #expect(Set(titles).count == titles.count)
  }

  @Test func tags() {
    let tags = (Self.measures + Self.others).compactMap(\.tag)
    #expect(Set(tags).count == tags.count)
    #expect(NumberCatalogue.training.allSatisfy { $0.tag != nil })
    #expect(NumberCatalogue.course.allSatisfy { $0.tag?.hasPrefix("collapse/") == true })
  }

  @Test func levels() throws {
    func path(_ section: String, _ name: String) throws -> String {
      let found = try #require(NumberCatalogue.measures.first { $0.title.hasPrefix(section) })
      return try #require(found.entries.first { $0.name == name }).path
    }
    #expect(try path("NC1", "nc1_pinv") == "unweighted.nc1_pinv")
    #expect(try path("NC1", "cdnv") == "cdnv")
    #expect(try path("Calibration on test", "ece_l1_15") == "test.calibration.ece_l1_15")
    #expect(NumberCatalogue.course.map(\.path).prefix(2) == ["collapse.nc1_pinv", "collapse.nc2_etf_error"])
    #expect(NumberCatalogue.course.count == 6 + NumberCatalogue.mixtures.count)
  }

  /// What documents have as numbers is what the catalogue knows, and no more.
  @Test func documents() {
    func paths(_ list: [MeasuredNumber]) -> Set<String> { Set(list.map(\.path)) }
    func names(_ list: NumberList) -> Set<String> { Set(list.entries.map(\.name)) }
    var row = DocumentTests.row
    row.validationAccuracy = 0.25
    #expect(names(row.numbers) == paths(NumberCatalogue.training).union(["epoch"]))
    row.collapse = NumberList(entries: NumberCatalogue.course.map(\.name))
    #expect(
      names(row.numbers) == paths(NumberCatalogue.training + NumberCatalogue.course).union(["epoch"]))
    #expect(names(DocumentTests.mixtures.numbers) == paths(NumberCatalogue.mixtures))
    let evaluation = Evaluation(accuracy: 0.5, nll: 1, ece: 0.1, brier: 0.5, bins: DocumentTests.bins)
    #expect(names(evaluation.numbers) == paths(NumberCatalogue.evaluation))
    #expect(
      names(DocumentTests.summary.numbers).isSubset(
        of: paths(NumberCatalogue.training + NumberCatalogue.mixtures)))
  }

  /// How a row reads while training goes on.
  @Test func lines() {
    var row = DocumentTests.row
    #expect(row.selectionAccuracy == 0.5)
    #expect(
      row.line == "epoch 4: loss 1.7500, test accuracy 50.00 %, classifier norms ±12.5 %, cosines ±0.250")
    (row.validationAccuracy, row.collapse) = (0.25, ["nc1_pinv": 1.5])
    #expect(row.selectionAccuracy == 0.25)
    #expect(
      row.line
        == "epoch 4: loss 1.7500, test accuracy 50.00 %, validation accuracy 25.00 %, classifier norms ±12.5 %, "
        + "cosines ±0.250, NC1 1.5")
    row.testAccuracy = nil
    #expect(row.line.hasPrefix("epoch 4: loss 1.7500, validation accuracy"))
  }
}

extension NumberList {
  /// One of each name.
  fileprivate init(entries names: [String]) {
    self = [:]
    for name in names { append(NumberList(dictionaryLiteral: (name, 0.5))) }
  }
}
