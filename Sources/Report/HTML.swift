import Figures

/// A piece of HTML.
struct HTML {
  private(set) var text = ""

  /// Adds markup as it is.
  mutating func add(raw: String) { text += raw + "\n" }

  /// Adds an element with a text.
  mutating func add(_ tag: String, _ content: String, attributes: String = "") {
    text += "<\(tag)\(attributes.isEmpty ? "" : " " + attributes)>\(PageText.escaped(content))</\(tag)>\n"
  }

  /// Adds an element with elements in it.
  mutating func add(_ tag: String, attributes: String = "", _ build: (inout HTML) throws -> Void) rethrows {
    var inner = HTML()
    try build(&inner)
    text += "<\(tag)\(attributes.isEmpty ? "" : " " + attributes)>\n\(inner.text)</\(tag)>\n"
  }

  /// Adds a table; the first cell of each row is its heading.
  mutating func add(table rows: [[String]], head: [String]? = nil) {
    add("div", attributes: "class=\"table\"") { frame in
      frame.add("table") { table in
        if let head {
          table.add("thead") { section in
            section.add("tr") { line in head.forEach { line.add("th", $0, attributes: "scope=\"col\"") } }
          }
        }
        table.add("tbody") { section in
          for row in rows {
            section.add("tr") { line in
              for (place, cell) in row.enumerated() {
                line.add(place == 0 ? "th" : "td", cell, attributes: place == 0 ? "scope=\"row\"" : "")
              }
            }
          }
        }
      }
    }
  }
}
