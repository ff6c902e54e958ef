import Foundation
import SystemTools
import TestSupport

extension TemporaryDirectory {
  /// A program of bash that stands in for another one.
  ///
  /// Another process writes it: a file that this one has open to write cannot be run by children that other tests
  /// start meanwhile, which inherit that.
  func program(_ name: String, _ lines: String) throws -> String {
    let path = file(name)
    let text = Data("#!/bin/bash\n\(lines)\n".utf8)
    _ = try Tool.run("/bin/sh", ["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh", path], input: text)
    return path
  }
}
