extension PaperItem {
  static let figure1 = activations(
    "figure-1", "mixup", "Last-layer activations of networks trained with mixup")
  static let figure8 = activations("figure-8", "baseline", "Activations of networks trained without mixup")

  /// A variant of training for every network and data set.
  private static func activations(_ name: String, _ variant: String, _ title: String) -> PaperItem {
    PaperItem(name, title) { _ in
      Programme.networks.flatMap { network in
        Programme.datasets.map { .drawn(network, $0, variant) }
      }
    } figures: { drawing in
      [
        try drawing.panels(
          columns: 3,
          drawing.keys.map { key in
            (key, "activations", "\(try drawing.networkName(key)), \(try drawing.datasetName(key))")
          })
      ]
    }
  }
}
