import Experiment
import Figures
import Records

/// A figure or table needs a run that has not finished.
public struct NotFinished: Error {
  public let run: RunKey
}

extension Reproduction {
  /// The figures of an item, from the runs that are there.
  ///
  /// - Throws: ``NotFinished`` if a run of it has not; `Problem` for damaged files.
  public func figures(_ item: PaperItem) throws -> [any Figure] {
    try item.figures(Drawing(item: item, reproduction: self))
  }

  /// The tables of an item, from the runs that are there.
  ///
  /// - Throws: ``NotFinished`` if a run of it has not; `Problem` for damaged files.
  public func tables(_ item: PaperItem) throws -> [Table] {
    try item.tables(Drawing(item: item, reproduction: self))
  }
}

/// What items draw with: the runs of a reproduction, and what figures call them.
struct Drawing {
  let item: PaperItem
  let reproduction: Reproduction

  var programme: Programme { reproduction.programme }

  /// The runs of the item.
  var keys: [RunKey] { item.needs(of: programme).map(\.run) }

  /// The runs of the item, those together that differ by their seed alone.
  var groups: [[RunKey]] {
    keys.reduce(into: []) { groups, key in
      if let last = groups.last?.first, last.seed < key.seed,
        (last.network, last.dataset, last.variant) == (key.network, key.dataset, key.variant)
      {
        groups[groups.count - 1].append(key)
      } else {
        groups.append([key])
      }
    }
  }

  /// A run that has finished.
  ///
  /// - Throws: ``NotFinished``.
  func finished(_ key: RunKey) throws -> RunDirectory {
    guard let run = try reproduction.run(of: key), reproduction.store.state(of: run) == .finished else {
      throw NotFinished(run: key)
    }
    return run
  }

  /// What every seed gave on the test images.
  func evaluations(_ network: String, _ dataset: String, _ variant: String) throws -> [Evaluation] {
    try (0..<programme.seeds(network, dataset, variant)).map { seed in
      try Evaluation(
        path: Product.evaluation.file(in: finished(RunKey(network, dataset, variant, seed: seed))))
    }
  }
}

// MARK: Pictures and tables that several items have

extension Drawing {
  /// A panel of a figure: a capture of a run, and what stands above it.
  typealias Panel = (run: RunKey, capture: String, title: String)

  /// Captures side by side.
  func panels(columns: Int, _ shown: [Panel]) throws -> ActivationsGrid {
    try ActivationsGrid(
      fileName: item.name, title: item.title, notes: notes(shown.map(\.run)), columns: columns,
      panels: shown.map { key, capture, title in
        .init(capture: "\(try finished(key).captures)/\(capture).safetensors", title: title)
      })
  }

  func table(_ unit: String, _ rows: [Table.Row]) -> Table {
    Table(fileName: item.name, title: "\(item.title), \(unit)", notes: [programme.about], rows: rows)
  }

  /// The columns of what was found at each seed; empty where no seed has a value.
  func cells<Found>(
    _ columns: [(String, (Found) -> Double?)], of found: [Found], decimals: Int
  ) -> [Table.Cell] {
    columns.map { name, value in
      let values = found.compactMap(value)
      return Table.Cell(
        column: name, measured: values.isEmpty ? nil : Measured(values), decimals: decimals)
    }
  }

  /// What a reader must know of the scale; networks and data where a figure has one of each.
  func notes(_ keys: [RunKey]) throws -> [String] {
    let networks = Set(try keys.map(networkName))
    let datasets = Set(try keys.map(datasetName))
    let same = [networks, datasets].compactMap { $0.count == 1 ? $0.first : nil }.joined(separator: ", ")
    return [same, programme.about].filter { !$0.isEmpty }
  }
}

// MARK: Names

extension Drawing {
  /// What tables call variants of training.
  static let variantTitles = [
    "mixup": "mixup", "baseline": "baseline", "mse": "mixup, squared errors", "etf": "mixup, fixed ETF",
    "alpha-0.4": "mixup, α = 0.4", "adamw": "mixup, AdamW",
  ]

  /// "WRN-16-2", "ViT-Ti/4": as the run's manifest has it.
  func networkName(_ key: RunKey) throws -> String {
    if let run = try reproduction.run(of: key), let title = Manifest(in: run.path)?.modelTitle {
      return title
    }
    return Self.title(of: try reproduction.configuration(of: key)?.model.name ?? key.network)
  }

  /// Titles of networks whose manifests are from before titles were kept in them.
  private static func title(of name: String) -> String {
    let parts = name.split(separator: "-").map(String.init)
    if parts.count == 3, parts[0] == "vit" {
      return "ViT-\(parts[1] == "xs" ? "XS" : parts[1].capitalized)/\(parts[2])"
    }
    return parts[0] == "wrn" ? name.uppercased() : name
  }

  /// All that a network of the programme is, on one data set or another.
  func networkNames(_ network: String) throws -> String {
    let names = try Programme.datasets.map { try networkName(RunKey(network, $0, "mixup")) }
    return names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }.joined(separator: ", ")
  }

  /// "CIFAR10", and what of it was taken.
  func datasetName(_ key: RunKey) throws -> String {
    let title = Configuration.Dataset(named: key.dataset)?.descriptor.title ?? key.dataset
    guard let data = try reproduction.configuration(of: key)?.data else { return title }
    let isJPEG = data.dataset == .folder && data.path.contains("jpeg")
    let classes = data.classes.isEmpty ? "" : ", \(data.classes.count) classes"
    return title + (isJPEG ? " (JPEG)" : "") + classes
  }
}
