import Figures

extension PaperItem {
  static let table1 = PaperItem("table-1", "Test accuracy") { programme in
    Programme.networks.flatMap { network in
      Programme.datasets.flatMap { dataset in
        ["baseline", "mixup"].flatMap { programme.everySeed(network, dataset, $0, .evaluation) }
      }
    } + programme.everySeed("wrn", "cifar10", "etf", .evaluation)
  } tables: { drawing in
    let rows = try Programme.networks.map { network in
      var columns = Programme.datasets.flatMap { dataset in ["baseline", "mixup"].map { (dataset, $0) } }
      if network == "wrn" { columns.append(("cifar10", "etf")) }
      return Table.Row(
        name: try drawing.networkNames(network),
        cells: try columns.map { dataset, variant in
          let accuracies = try drawing.evaluations(network, dataset, variant).map { 100 * $0.accuracy }
          let name = try drawing.datasetName(RunKey(network, dataset, variant))
          return Table.Cell(
            column: "\(name) \(Drawing.variantTitles[variant]!)", measured: Measured(accuracies),
            paper: PaperValues.accuracy(network, dataset, variant), decimals: 2)
        })
    }
    return [drawing.table("in %", rows)]
  }
}
