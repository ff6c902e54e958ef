import Foundation
import TestSupport
import Testing

@testable import SystemTools

@Suite struct HostMemoryTests {
  static let system = "MemTotal:  9000000 kB\nMemFree:  100 kB\nMemAvailable:   2000 kB\n"

  /// Files below a root, and what they say is left.
  static let machines: [(files: [String: String], bytes: Int?)] = [
    ([:], nil),
    (["proc/meminfo": system], 2_048_000),
    (
      ["proc/meminfo": system, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n"],
      2_048_000
    ),
    // The file cache of a group gives way.
    (
      [
        "proc/meminfo": system, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1000000\n",
        "sys/fs/cgroup/a/b/memory.current": "800000\n",
        "sys/fs/cgroup/a/b/memory.stat": "anon 5\ninactive_file 300000\nactive_file 9\n",
      ], 500_000
    ),
    // A group above it has less.
    (
      [
        "proc/meminfo": system, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1000000\n",
        "sys/fs/cgroup/a/b/memory.current": "0\n", "sys/fs/cgroup/a/memory.max": "70000\n",
        "sys/fs/cgroup/a/memory.current": "90000\n",
      ], 0
    ),
    // A container sees its own group as the root, under whatever name.
    (
      [
        "proc/self/cgroup": "0::/docker/7f\n", "sys/fs/cgroup/memory.max": "4096\n",
        "sys/fs/cgroup/memory.current": "96\n",
      ], 4000
    ),
    // The first version of control groups.
    (
      [
        "proc/meminfo": system, "proc/self/cgroup": "12:cpu,cpuacct:/x\n9:memory:/job\n",
        "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "5000\n",
        "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "4500\n",
        "sys/fs/cgroup/memory/job/memory.stat": "total_inactive_file 200\n",
      ], 700
    ),
  ]

  @Test(arguments: machines) func available(files: [String: String], bytes: Int?) throws {
    let directory = try TemporaryDirectory()
    for (path, text) in files {
      let file = URL(fileURLWithPath: directory.file("root/\(path)"))
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
    }
    #expect(HostMemory.available(root: directory.file("root")) == bytes)
  }

  @Test func here() throws { #expect(try #require(HostMemory.available()) > 1 << 20) }
}
