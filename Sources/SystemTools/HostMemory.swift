import Foundation

/// How much memory is left for this process.
public enum HostMemory {
  /// Bytes that it may still take: what the system has available or, where that is less, what the limits of its control
  /// groups leave; nil where nobody says.
  ///
  /// - Parameter root: of the file system that says so.
  public static func available(root: String = "") -> Int? {
    let groups = text("\(root)/proc/self/cgroup").split(separator: "\n").flatMap { line -> [Int] in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return [] }
      if fields[1].isEmpty {
        return left(
          "\(root)/sys/fs/cgroup", fields[2], limit: "memory.max", usage: "memory.current",
          cached: "inactive_file")
      }
      guard fields[1].split(separator: ",").contains("memory") else { return [] }
      return left(
        "\(root)/sys/fs/cgroup/memory", fields[2], limit: "memory.limit_in_bytes",
        usage: "memory.usage_in_bytes", cached: "total_inactive_file")
    }
    return (groups + [system(root)].compactMap { $0 }).min()
  }

  private static func system(_ root: String) -> Int? {
    value(of: "MemAvailable:", in: text("\(root)/proc/meminfo")).map { $0 * 1024 }
  }

  /// What the limits of a group and of those above it leave.
  private static func left(
    _ mount: String, _ group: Substring, limit: String, usage: String, cached: String
  ) -> [Int] {
    var names = group.split(separator: "/")
    var result: [Int] = []
    while true {
      let directory = ([mount] + names.map(String.init)).joined(separator: "/")
      // Files that were read count as used, and give way.
      let reclaimable = value(of: cached, in: text("\(directory)/memory.stat")) ?? 0
      if let most = number("\(directory)/\(limit)"), let used = number("\(directory)/\(usage)") {
        result.append(max(0, most - max(0, used - reclaimable)))
      }
      guard !names.isEmpty else { return result }
      names.removeLast()
    }
  }

  private static func text(_ path: String) -> String {
    (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  }

  /// nil for "max", too.
  private static func number(_ path: String) -> Int? {
    Int(text(path).trimmingCharacters(in: .whitespacesAndNewlines))
  }

  private static func value(of name: String, in text: String) -> Int? {
    let line = text.split(separator: "\n").first { $0.split(separator: " ").first == name[...] }
    return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
  }
}
