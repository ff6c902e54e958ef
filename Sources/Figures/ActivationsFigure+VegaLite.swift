extension ActivationsFigure: Figure {
  public func specification() throws -> JSONValue {
    let scale = panel.scaledRows.scale
    let frame: [String: JSONValue] = [
      "$schema": .string(vegaLiteSchema),
      "config": chartTheme, "params": ActivationsPanel.parameters,
      "title": [
        "text": .string(title),
        "subtitle": [
          .string(subtitle), .string("classifier rows in black, drawn × \(scale.rounded(digits: 3))"),
        ],
      ],
    ]
    return try .object(frame.merging(panel.view()) { $1 })
  }
}
