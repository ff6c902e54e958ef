/// The candidate that is closest to a word that is none of them, if one is close.
public func nearest(to word: String, among candidates: some Sequence<String>) -> String? {
  let most = max(2, word.count / 2)
  // What differs more in length cannot be close: a file's word may be of any length.
  let scored = candidates.filter { abs($0.count - word.count) <= most }
    .map { (candidate: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
  let best = scored.min { ($0.distance, $0.candidate) < ($1.distance, $1.candidate) }
  return best.flatMap { $0.distance <= most ? $0.candidate : nil }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into another.
func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a)
  let b = Array(b)
  var rows = [Array(0...b.count)]
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
      row.append(best)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}

/// ` Did you mean "x"?`, or nothing.
public func suggestion(for word: String, among candidates: some Sequence<String>) -> String {
  nearest(to: word, among: candidates).map { " Did you mean \"\($0)\"?" } ?? ""
}
