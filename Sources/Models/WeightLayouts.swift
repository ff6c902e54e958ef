import Problems
import Torch

/// Weights that another program has trained, under the names that our networks give to theirs.
///
/// Known are the layouts of the WideResNets in common use (`block1.layer.0.conv1.weight`, as ours, and
/// Zagoruyko's own, `group0.block0.conv0`), of torchvision's ResNets and of timm's vision transformers, each also as
/// wrappers save them.
public enum WeightLayouts {
  /// Names of our networks for a state dictionary.
  ///
  /// - Throws: `Problem` for names that look like those of another architecture.
  public static func ours(_ tensors: [String: Tensor]) throws -> [String: Tensor] {
    var tensors = tensors
    for wrapper in ["module.", "_orig_mod.", "model.", "net.", "backbone."]
    where !tensors.isEmpty && tensors.keys.allSatisfy({ $0.hasPrefix(wrapper) || $0 == "n_averaged" }) {
      tensors = Dictionary(
        uniqueKeysWithValues: tensors.filter { $0.key != "n_averaged" }.map {
          (String($0.key.dropFirst(wrapper.count)), $0.value)
        })
    }
    tensors = tensors.filter { name, _ in
      // Counters that nothing uses, and a block that some WideResNets have besides and never call.
      !name.hasSuffix("num_batches_tracked") && !name.hasPrefix("sub_block1.")
    }
    if let foreign = tensors.keys.sorted().first(where: isForeign) { throw Problem.unknownLayout(foreign) }
    guard tensors.keys.contains(where: { $0.hasPrefix("group0.") }) else { return tensors }
    return try Dictionary(tensors.map { (try zagoruyko($0.key), $0.value) }) { first, _ in first }
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
