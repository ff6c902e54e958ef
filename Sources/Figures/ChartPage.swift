/// Text within a page of HTML.
public enum PageText {
  /// A text with everything escaped that HTML would read as markup.
  public static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }

  /// A script's text, which may not hold what would end its element.
  public static func script(_ text: String) -> String {
    text.replacingOccurrences(of: "</script", with: "<\\/script", options: .caseInsensitive)
      .replacingOccurrences(of: "<!--", with: "<\\!--")
  }

  /// JSON within a script element: its strings may hold no "<".
  public static func json(_ text: String) -> String { text.replacingOccurrences(of: "<", with: "\\u003c") }
}

/// A page with one chart, which asks the network for nothing.
enum ChartPage {
  /// - Parameters:
  ///   - chart: Vega-Lite, whose names and titles may be anything.
  ///   - charts: JavaScript that defines `vegaEmbed`.
  static func html(title: String, chart: String, charts: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(PageText.escaped(title)) · Collapse</title>
    <style>
    body { margin: 1.2rem; font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; background: white; }
    #chart { overflow-x: auto; } .vega-bind { display: inline-block; margin-right: 1.2rem; }
    </style>
    </head>
    <body>
    <div id="chart"></div>
    <script type="application/json" id="source">\(PageText.json(chart))</script>
    <script>\(PageText.script(charts))</script>
    <script>
    const source = JSON.parse(document.getElementById("source").textContent);
    vegaEmbed("#chart", source, { actions: { export: true, source: true, compiled: false, editor: false } })
      .catch((error) => { document.getElementById("chart").textContent = "This chart could not be drawn: " + error; });
    </script>
    </body>
    </html>

    """
  }
}
