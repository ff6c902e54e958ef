import Foundation
import SystemTools

/// A server of one file, on this machine alone, that can misbehave.
///
/// What it does is the path of a request: `good`, `cut` (breaks off after each 60,000 bytes), `norange` (the
/// same, three times, and starts anew whatever is asked), `longer` and `shorter` (announces another length),
/// `wrong` (other bytes), `page` (a page of text instead), `endless`, `busy` (status 503); `ranges` tells what was asked for.
final class FileServer {
  /// What `good` gives.
  static let content = Data((0..<200_000).map { UInt8(truncatingIfNeeded: ($0 * 7919) >> 3) })

  private let process = Process()
  private let output = Pipe()
  let address: String

  init() throws {
    process.executableURL = URL(fileURLWithPath: try Python.find(for: "serve files with"))
    process.arguments = ["-c", Self.script]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
    address = "http://127.0.0.1:" + line.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  // A program inherits the signals that this thread blocks, but for this one.
  deinit { kill(process.processIdentifier, SIGKILL) }

  private static let script = """
    import http.server, re
    content = bytes((i * 7919 >> 3) & 255 for i in range(200_000))
    requests = {}
    ranges = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            what = self.path.strip("/")
            requests[what] = requests.get(what, 0) + 1
            if what == "ranges":
                body = "\\n".join(ranges).encode()
                self.send_response(200)
                self.end_headers()
                return self.wfile.write(body)
            ranges.append(self.headers.get("Range", "all"))
            if what == "busy":
                return self.send_error(503)
            match = re.match(r"bytes=(\\d+)-", self.headers.get("Range", ""))
            start = int(match[1]) if match and what != "norange" else 0
            if start >= len(content):
                return self.send_error(416)
            body = content[start:]
            if what == "wrong":
                body = bytes(255 - byte for byte in body)
            if what == "page":
                body = b"<html>Please log in.</html>"
            length = len(body) + {"longer": 5000, "shorter": -5000}.get(what, 0)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            if what != "endless":
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if what == "cut" or (what == "norange" and requests[what] <= 3):
                body = body[:60_000]
            if what == "shorter":
                body = body[:length]
            self.wfile.write(body)
            while what == "endless":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
    """
}
