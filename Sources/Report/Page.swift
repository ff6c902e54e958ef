import Experiment
import Figures
import Foundation
import Records

extension HTML {
  /// A whole page that asks the network for nothing.
  ///
  /// - Parameter charts: JavaScript that defines `vegaEmbed`, from ``Figures/FigureRenderer``.
  static func page(_ title: String, _ body: HTML, _ contents: Contents, charts: String) -> String {
    let date = Date().formatted(.iso8601.year().month().day())
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(PageText.escaped(title)) · Collapse</title>
      <style>\(PageStyle.css)</style>
      </head>
      <body>
      <header><h1>\(PageText.escaped(title))</h1>
      <p class="about">Collapse \(collapseVersion), \(date)</p></header>
      <nav>\(contents.links)</nav>
      <main>
      \(body.text)</main>
      <script>\(PageText.script(charts))</script>
      <script>\(PageText.script(PageStyle.script))</script>
      </body>
      </html>

      """
  }
}

/// What a page can be moved to, and its charts.
struct Contents {
  private(set) var links = ""
  private var count = 0

  /// A new place in the page, with a link to it.
  ///
  /// - Returns: its identifier.
  mutating func add(_ title: String) -> String {
    count += 1
    links += "<a href=\"#part-\(count)\">\(PageText.escaped(title))</a>\n"
    return "part-\(count)"
  }

  /// A new identifier without a link.
  mutating func next() -> String {
    count += 1
    return "part-\(count)"
  }
}

extension HTML {
  /// Adds a chart.
  mutating func add(_ figure: some Figure, caption: String = "", _ contents: inout Contents) throws {
    add(chart: try JSONEncoder().text(figure.specification()), caption: caption, &contents)
  }

  /// Adds a chart from its Vega-Lite source.
  mutating func add(chart source: String, caption: String, _ contents: inout Contents) {
    let identifier = contents.next()
    add("figure") { figure in
      figure.add(raw: "<div class=\"chart\" id=\"\(identifier)\" data-source=\"\(identifier)-source\"></div>")
      figure.add(
        raw: "<script type=\"application/json\" id=\"\(identifier)-source\">\(PageText.json(source))</script>"
      )
      if !caption.isEmpty { figure.add("figcaption", caption) }
    }
  }
}
