import Records

extension Array<MeasuredNumber> {
  /// The title of a number of the list.
  ///
  /// - Precondition: it is in the list.
  package func title(of path: String) -> String {
    guard let number = first(where: { $0.path == path }) else {
      preconditionFailure("the catalogue has no number \(path)")
    }
    return number.title
  }
}
