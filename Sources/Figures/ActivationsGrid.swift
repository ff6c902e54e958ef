/// The paper's picture of several networks side by side (Figures 1, 2 and 7 to 12), on one scale.
///
/// Lengths are in units of the mean distance of the same-class means from the origin, which differs
/// between networks by their size alone.
public struct ActivationsGrid: Figure, Sendable {
  /// A network of the grid.
  public struct Panel: Sendable {
    /// A capture of three classes.
    public var capture: String
    /// What stands above it.
    public var title: String

    /// A panel of a capture.
    public init(capture: String, title: String) {
      self.capture = capture
      self.title = title
    }
  }

  public let fileName: String
  private let title: String
  private let subtitle: [String]
  private let panels: [(title: String, panel: ActivationsPanel)]
  private let columns: Int
  /// Points a panel draws at most: every so many of a capture's.
  static let pointsPerPanel = 1500

  /// Reads the captures.
  ///
  /// - Parameters:
  ///   - columns: panels in a row.
  ///   - notes: lines under the title.
  /// - Throws: `Problem` for a file that is not a capture of three classes.
  public init(fileName: String, title: String, notes: [String] = [], columns: Int, panels: [Panel]) throws {
    self.fileName = fileName
    self.title = title
    self.columns = columns
    let side = columns == 1 ? 440.0 : columns == 2 ? 340 : 280
    self.panels = try panels.map { asked in
      let capture = try CapturedActivations(path: asked.capture)
      var panel = ActivationsPanel(points: capture.points, rows: capture.rows)
      panel = panel.divided(by: panel.radius)
      panel.points = Self.thinned(panel.points)
      panel.side = side
      panel.hasLegends = false
      panel.hasAxisTitles = false
      panel.pointScale = columns == 1 ? 1 : 0.7
      return (asked.title, panel)
    }
    let most = self.panels.map(\.panel.points.count).max() ?? 0
    subtitle =
      notes + [
        "\(most) mixtures of training images a panel; unit: mean distance of the same-class means;"
          + " classifier rows in black, their length not to scale"
      ]
  }

  /// Every so many of each kind: the same share of both.
  static func thinned(_ points: [ActivationPoint]) -> [ActivationPoint] {
    let step = max(1, (points.count + pointsPerPanel - 1) / pointsPerPanel)
    return [ActivationPoint.sameClass, ActivationPoint.differentClasses].flatMap { kind in
      let kept = points.filter { $0.kind == kind }
      return stride(from: 0, to: kept.count, by: step).map { kept[$0] }
    }
  }

  /// Half of a panel's side: all points, unless a few stray ones would shrink all the others.
  private var extent: Double { min(panels.map(\.panel.fittingExtent).max() ?? 1, Self.largestExtent) }
  private static let largestExtent = 2.6

  public func specification() throws -> JSONValue {
    let extent = extent
    let outside = panels.flatMap(\.panel.points).count { max(abs($0.x), abs($0.y)) > extent }
    let clipped =
      outside > 0
      ? [outside == 1 ? "1 point lies outside of its panel" : "\(outside) points lie outside of the panels"]
      : []
    let views = try panels.enumerated().map { index, element -> JSONValue in
      var panel = element.panel
      panel.extent = extent
      panel.hasLegends = index == min(columns, panels.count) - 1
      var view = try panel.view()
      view["title"] = ["text": .string(element.title), "fontSize": 13, "anchor": "middle", "offset": 6]
      return .object(view)
    }
    let rows = stride(from: 0, to: views.count, by: columns).map { start -> JSONValue in
      [
        "hconcat": .array(Array(views[start..<min(start + columns, views.count)])), "spacing": 18,
        "resolve": ["scale": ["shape": "independent"]],
      ]
    }
    return [
      "$schema": .string(vegaLiteSchema), "config": chartTheme, "params": ActivationsPanel.parameters,
      "title": [
        "text": .string(title), "subtitle": .array((subtitle + clipped).map { .string($0) }), "fontSize": 16,
      ],
      "vconcat": .array(rows), "spacing": 18, "resolve": ["scale": ["shape": "independent"]],
    ]
  }
}
