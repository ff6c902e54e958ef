import ArgumentParser
import Experiment
import Foundation
import Problems

/// What a configuration is put together from.
struct ConfigurationOptions: ParsableArguments {
  @Option(
    name: .long,
    help: "A configuration that comes with the program: \(Presets.all.keys.sorted().joined(separator: ", "))."
  )
  var preset: String?

  @Option(name: .long, help: "A YAML file with a configuration.")
  var config: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("One setting, such as mixup.alpha=0.4. May be repeated.", valueName: "key=value"))
  var settings: [String] = []

  /// Whether nothing is given.
  var isEmpty: Bool { preset == nil && config == nil && settings.isEmpty }

  /// What is given, later ones to override earlier ones.
  var sources: [Configuration.Source] {
    get throws {
      var sources: [Configuration.Source] = []
      if let preset { sources.append(try Presets.source(preset)) }
      if let config { sources.append(try Configuration.Source(file: config)) }
      return sources + (try settings.map { try Configuration.Source(assignment: $0, name: "--set \($0)") })
    }
  }
}
