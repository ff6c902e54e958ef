import Figures

extension PaperItem {
  static let table2 = PaperItem("table-2", "Expected calibration error") { programme in
    Programme.networks.flatMap { network in
      ["baseline", "mixup", "alpha-0.4"].flatMap {
        programme.everySeed(network, "cifar10", $0, .evaluation)
      }
    }
  } tables: { drawing in
    let rows = try Programme.networks.map { network in
      Table.Row(
        name: try drawing.networkName(RunKey(network, "cifar10", "mixup")),
        cells: try ["baseline", "mixup", "alpha-0.4"].flatMap { variant in
          let found = try drawing.evaluations(network, "cifar10", variant)
          let title = Drawing.variantTitles[variant]!
          return [
            Table.Cell(
              column: title, measured: Measured(found.map(\.ece)),
              paper: PaperValues.calibrationError(network, variant), decimals: 3),
            Table.Cell(
              column: "confidence − accuracy, \(title)", measured: Measured(found.map(\.overconfidence)),
              decimals: 3),
          ]
        })
    }
    let dataset = try drawing.datasetName(RunKey("wrn", "cifar10", "mixup"))
    return [drawing.table("on \(dataset)", rows)]
  }
}
