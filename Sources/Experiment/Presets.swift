import Problems

/// The configurations that come with the program.
public enum Presets {
  /// Their YAML by name.
  public static let all: [String: String] = [
    "demo": text(PackageResources.demo_yaml),
    "vit-ti-4-fashion-mnist": text(PackageResources.vit_ti_4_fashion_mnist_yaml),
    "wrn-16-2-fashion-mnist": text(PackageResources.wrn_16_2_fashion_mnist_yaml),
  ]

  /// The preset of a name.
  ///
  /// - Throws: `Problem` with the nearest name.
  public static func source(_ name: String) throws -> Configuration.Source {
    guard let text = all[name] else {
      throw Problem(
        .unknownPreset, name, "there is no preset \"\(name)\"." + suggestion(for: name, among: all.keys),
        choices: all.keys.sorted())
    }
    return Configuration.Source(text: text, name: "preset \(name)")
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
