import Figures
import Foundation

extension PaperItem {
  /// Beyond the paper: Figure 3 as numbers.
  static let layers = PaperItem(
    "layers", "The order in which layers see the two classes of a mixture"
  ) { programme in
    ["mixup", "baseline"].flatMap { programme.everySeed("vit", "cifar10", $0, .trajectories) }
  } tables: { drawing in
    let rows = try drawing.groups.flatMap { keys in
      let captures = try keys.map {
        try CapturedTrajectories(path: Product.trajectories.file(in: drawing.finished($0)))
      }
      return try [0.6, 0.7, 0.8, 0.9].map { weight in
        let orders = try captures.map { try LayerOrder($0, weight: weight) }
        let title = Drawing.variantTitles[keys[0].variant]!
        return Table.Row(
          name: "\(title), \(String(format: "%.1f", orders[0].weight)) of one class",
          cells: drawing.cells(LayerOrder.columns, of: orders, decimals: 2))
      }
    }
    let key = drawing.keys[0]
    return [drawing.table("\(try drawing.networkName(key)) on \(try drawing.datasetName(key))", rows)]
  }
}

extension LayerOrder {
  /// The columns of the table of layers.
  fileprivate static var columns: [(String, (LayerOrder) -> Double?)] {
    [
      ("heavier class seen from layer", \.heavierLayer), ("lighter class seen from layer", \.lighterLayer),
      ("lighter later, share of mixtures", \.lighterLater),
      ("lighter earlier, share of mixtures", \.lighterEarlier),
      ("lighter never, share of mixtures", \.lighterNever),
      ("weight read for the lighter, last layer but one", { $0.lighterShare.dropLast().last }),
      ("weight read for the lighter, last layer", \.lighterShare.last),
    ]
  }
}
