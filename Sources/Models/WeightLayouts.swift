import Problems
import Torch

/// Weights that another program has trained, under the names that our networks give to theirs.
///
/// Known are the layouts of the WideResNets in common use (`block1.layer.0.conv1.weight`, as ours, and
/// Zagoruyko's own, `group0.block0.conv0`), of torchvision's ResNets and of timm's vision transformers, each also as
/// wrappers save them.
public enum WeightLayouts {
  /// What a file has of a network.
  public struct Found {
    /// Its tensors, by our names.
    public let tensors: [String: Tensor]
    /// What their names begin with in the file, such as `state_dict.model.`.
    public let prefix: String
  }

  /// The tensors of a network, wherever a file has them: below any prefix, such as those of wrappers
  /// (`_orig_mod.module.`), of checkpoints (`state_dict.model.`) and of training programs, which keep other things
  /// beside them.
  ///
  /// The prefix is the one below which most of the network's names are; tensors that are not below it are left. A last layer
  /// called `fc`, `linear`, `classifier` or `head` is taken for the network's if it has its shape, also from beside a
  /// backbone.
  ///
  /// - Parameters:
  ///   - tensors: of a file, by their names there.
  ///   - shapes: of the network's tensors, by our names.
  /// - Throws: `Problem` for names that look like those of another architecture, and for a file of two such networks.
  public static func find(_ tensors: [String: Tensor], shapes: [String: [Int]]) throws -> Found {
    let prefix = try prefix(tensors.keys.sorted(), Set(shapes.keys))
    var found: [String: Tensor] = [:]
    for (name, tensor) in tensors where name.hasPrefix(prefix) {
      found[String(name.dropFirst(prefix.count))] = tensor
    }
    // What averaging of weights and batch norm count, and a block that some WideResNets have and never call.
    found = found.filter { name, _ in
      !name.hasSuffix("num_batches_tracked") && !name.hasPrefix("sub_block1.") && name != "n_averaged"
    }
    if let foreign = found.keys.sorted().first(where: isForeign) { throw Problem.unknownLayout(foreign) }
    if found.keys.contains(where: { $0.hasPrefix("group0.") }) {
      found = try Dictionary(found.map { (try zagoruyko($0.key), $0.value) }) { first, _ in first }
    }
    rename(&found, shapes, beside: tensors, prefix)
    return Found(tensors: found, prefix: prefix)
  }

  /// What most of the names begin with that end as a network's do.
  private static func prefix(_ names: [String], _ wanted: Set<String>) throws -> String {
    var counts: [String: Int] = [:]
    for name in names {
      var rest = Substring(name)
      while true {
        let known =
          wanted.contains(String(rest)) || (try? zagoruyko(String(rest))).map(wanted.contains) == true
        if known { counts[String(name.dropLast(rest.count)), default: 0] += 1 }
        guard let dot = rest.firstIndex(of: ".") else { break }
        rest = rest[rest.index(after: dot)...]
      }
    }
    guard let most = counts.values.max() else { return "" }
    let best = counts.filter { $0.value == most }.keys.sorted { ($0.count, $0) < ($1.count, $1) }
    // Weights that are averaged stand beside those that are trained.
    let own = best.filter { !$0.lowercased().contains("ema") }
    let candidates = own.isEmpty ? best : own
    guard candidates.count < 2 || candidates[0].isEmpty || most < 4 else {
      throw Problem(
        .unknownLayout, candidates[0],
        "there are several networks of these names, below \(candidates.prefix(4).joined(separator: " and ")); "
          + "one alone is needed")
    }
    return candidates[0]
  }

  private static let heads = ["fc", "linear", "classifier", "head"]

  /// Gives a last layer of another name the name that ours has.
  private static func rename(
    _ found: inout [String: Tensor], _ shapes: [String: [Int]], beside all: [String: Tensor], _ prefix: String
  ) {
    guard let head = heads.first(where: { shapes["\($0).weight"]?.count == 2 }),
      found["\(head).weight"] == nil, let shape = shapes["\(head).weight"]
    else { return }
    // Below the prefix, and below each one that it is made of.
    var places = [prefix]
    while let last = places.last, !last.isEmpty {
      let parts = last.split(separator: ".").dropLast()
      places.append(parts.isEmpty ? "" : parts.joined(separator: ".") + ".")
    }
    let layers = places.flatMap { place in heads.map { place + $0 } }
    guard let layer = layers.first(where: { all["\($0).weight"]?.shape == shape }) else { return }
    for part in ["weight", "bias"] {
      if layer.hasPrefix(prefix) { found["\(layer.dropFirst(prefix.count)).\(part)"] = nil }
      found["\(head).\(part)"] = all["\(layer).\(part)"]
    }
  }

  /// Names of networks that compute something else, whose weights would load or nearly so.
  private static func isForeign(_ name: String) -> Bool {
    // Their shortcuts take what comes before normalisation.
    let hasOtherShortcuts = name.hasPrefix("layer") && name.contains(".shortcut.")
    return hasOtherShortcuts || name.hasPrefix("fc_norm.") || name.hasPrefix("vit.embeddings.")
  }

  /// `group0.block0.conv0` as `block1.layer.0.conv1.weight`.
  private static func zagoruyko(_ name: String) throws -> String {
    let parts = name.split(separator: ".").map(String.init)
    switch (parts.first, parts.count) {
    case ("conv0", _): return "conv1.weight"
    case ("bn", 2): return "bn1.\(parts[1])"
    case ("fc", 2): return name
    default: break
    }
    guard parts.count >= 3, parts[0].hasPrefix("group"), let group = Int(parts[0].dropFirst(5)),
      (0...2).contains(group), parts[1].hasPrefix("block"), let block = Int(parts[1].dropFirst(5))
    else { throw Problem.unknownLayout(name) }
    let scope = "block\(group + 1).layer.\(block)"
    switch (parts[2], parts.count) {
    case ("conv0", _): return "\(scope).conv1.weight"
    case ("conv1", _): return "\(scope).conv2.weight"
    case ("convdim", _): return "\(scope).convShortcut.weight"
    case ("bn0", 4): return "\(scope).bn1.\(parts[3])"
    case ("bn1", 4): return "\(scope).bn2.\(parts[3])"
    default: throw Problem.unknownLayout(name)
    }
  }
}

extension Problem {
  /// A tensor's name that no layout has which our networks can take.
  fileprivate static func unknownLayout(_ name: String) -> Problem {
    Problem(
      .unknownLayout, name,
      "the tensor \(name) belongs to no layout that can be loaded (WideResNets with block1.layer.0.conv1 or "
        + "group0.block0.conv0, timm's vision transformers, torchvision's ResNets)")
  }
}
