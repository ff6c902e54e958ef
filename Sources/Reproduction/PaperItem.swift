import Figures
import Problems

/// A figure or table of the paper, or one beyond it: what it is called, what it needs, and how it is drawn.
///
/// A new one is a file under `Items` and a line in ``all``.
public struct PaperItem: Sendable, Hashable, Comparable {
  /// As commands and files have it: "figure-1".
  public let name: String
  /// What it shows.
  public let title: String
  private let runs: @Sendable (Programme) -> [Need]
  private let draw: @Sendable (Drawing) throws -> [any Figure]
  private let tabulate: @Sendable (Drawing) throws -> [Table]

  /// An item by its name.
  ///
  /// - Parameters:
  ///   - needs: the runs that it is made from at a scale, and what of them.
  ///   - figures: made from runs that have finished.
  ///   - tables: the same.
  init(
    _ name: String, _ title: String, needs: @escaping @Sendable (Programme) -> [Need],
    figures: @escaping @Sendable (Drawing) throws -> [any Figure] = { _ in [] },
    tables: @escaping @Sendable (Drawing) throws -> [Table] = { _ in [] }
  ) {
    self.name = name
    self.title = title
    runs = needs
    draw = figures
    tabulate = tables
  }

  /// All of them, in the order in which they are listed and drawn.
  public static let all: [PaperItem] = [
    figure1, figure2, figure3, figure4, figure5, figure6, figure7, figure8, figure9, figure10, figure11,
    figure12, table1, table2, configuration, layers,
  ]

  /// "Figure 1", "Table 2", "Configuration".
  public var heading: String {
    let words = name.split(separator: "-")
    return words[0].capitalized + words.dropFirst().map { " \($0)" }.joined()
  }

  /// The items of a name: one, or all.
  ///
  /// - Throws: `Problem` with the nearest name.
  public static func named(_ name: String) throws -> [PaperItem] {
    if name == "all" { return all }
    // As people write it: "Figure 3", "figure3", "table_1".
    let plain = name.lowercased().filter { $0.isLetter || $0.isNumber }
    if let item = all.first(where: { $0.name.filter { $0 != "-" } == plain }) { return [item] }
    let names = all.map(\.name)
    throw Problem(
      .unknownItem, name, "there is no item \"\(name)\"." + suggestion(for: name, among: names),
      choices: ["all"] + names)
  }

  /// What it is made from.
  public func needs(of programme: Programme) -> [Need] { runs(programme) }

  func figures(_ drawing: Drawing) throws -> [any Figure] { try draw(drawing) }
  func tables(_ drawing: Drawing) throws -> [Table] { try tabulate(drawing) }

  public static func == (a: PaperItem, b: PaperItem) -> Bool { a.name == b.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
  public static func < (a: PaperItem, b: PaperItem) -> Bool {
    all.firstIndex(of: a)! < all.firstIndex(of: b)!
  }
}

/// A run and what is to be made of it.
public struct Need: Sendable, Equatable {
  public var run: RunKey
  public var products: [Product]

  /// The run of a seed that is drawn.
  static func drawn(_ network: String, _ dataset: String, _ variant: String, _ products: Product...) -> Need {
    Need(run: RunKey(network, dataset, variant), products: products)
  }
}

extension Programme {
  /// The same of every seed of a run, for numbers.
  func everySeed(_ network: String, _ dataset: String, _ variant: String, _ products: Product...) -> [Need] {
    (0..<seeds(network, dataset, variant)).map { seed in
      Need(run: RunKey(network, dataset, variant, seed: seed), products: products)
    }
  }
}
