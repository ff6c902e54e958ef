import Experiment
import Figures
import Foundation
import Problems
import Records
import Reproduction

/// The paper's items, in their order, as a reproduction has made them.
struct ReproductionSection {
  private let path: String

  init(_ path: String) { self.path = path }

  func write(to body: inout HTML, _ contents: inout Contents) throws {
    for item in PaperItem.all {
      let chart = try? String(contentsOfFile: "\(path)/figures/\(item.name).vl.json", encoding: .utf8)
      let table = try Self.table("\(path)/tables/\(item.name).json")
      guard chart != nil || table != nil else { continue }
      let identifier = contents.add(item.heading)
      body.add("section", attributes: "id=\"\(identifier)\"") { section in
        section.add("h2", "\(item.heading): \(item.title)")
        if let chart { section.add(chart: chart, caption: "", &contents) }
        if let table { section.add(table: table) }
      }
    }
  }

  private static func table(_ path: String) throws -> Table? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    guard let table = try? JSONDecoder.collapse.decode(Table.self, from: data) else {
      throw Problem(.otherFile, path, "\(path) is not a table of a reproduction.")
    }
    return table
  }
}

extension HTML {
  /// Adds a table with the paper's values beside ours.
  mutating func add(table: Table) {
    let columns = table.columns
    add(
      table: table.rows.map { row in
        [row.name] + columns.map { row.text(of: $0) }
      }, head: [""] + columns)
    add("p", table.legend, attributes: "class=\"note\"")
  }
}
