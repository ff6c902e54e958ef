import Datasets
import Experiment
import Problems

/// The data sets of the list, as help texts and messages name them.
enum DatasetNames {
  static let all = DatasetCatalogue.all.map(\.name)
  static let fetchable = DatasetCatalogue.all.filter(\.isFetchable).map(\.name)

  /// Names with commas, and "or" before the last.
  static func listed(_ names: [String]) -> String {
    guard names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1]
  }
}

extension Configuration.Data {
  /// The data set of a name.
  ///
  /// - Throws: `Failure` if there is none.
  init(named name: String) throws {
    guard let dataset = Configuration.Dataset(named: name) else {
      throw Failure(
        .usage, "there is no data set \"\(name)\"." + suggestion(for: name, among: DatasetNames.all))
    }
    self.init()
    self.dataset = dataset
  }

  /// Whether its settings go together.
  ///
  /// - Throws: `Problem` with the key that is wrong.
  func validate() throws {
    var configuration = Configuration()
    configuration.data = self
    try configuration.validate()
  }
}
