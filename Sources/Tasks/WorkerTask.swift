import Foundation
import Problems
import Records

/// Something that the worker does, and what comes out of it.
public protocol WorkerTask: Codable, Sendable {
  /// The document that it gives.
  associatedtype Result: Document
  /// What it is called on the way to the worker.
  static var name: String { get }
}

/// Whoever has tasks done: a worker process, or a test in its place.
public protocol TaskPerformer: Sendable {
  /// Does a task to its end.
  ///
  /// - Parameter handle: told of what happens, in order.
  /// - Throws: `Problem`, of the task or of whoever does it.
  func perform<Task: WorkerTask>(_ task: Task, handle: (WorkerEvent) -> Void) throws -> Task.Result
}

extension TaskPerformer {
  /// Does a task to its end, of which nobody is told.
  public func perform<Task: WorkerTask>(_ task: Task) throws -> Task.Result { try perform(task) { _ in } }
}

/// A task on its way: one line of JSON on the worker's standard input.
public struct TaskLine: Codable {
  /// Which task it is.
  public let task: String
  /// The task, as JSON.
  public let content: String

  /// A task as a line.
  public init<Task: WorkerTask>(_ task: Task) throws {
    self.task = Task.name
    content = try JSONEncoder().text(task)
  }

  /// The line, with its end.
  public var data: Data {
    get throws { try JSONEncoder().encode(self) + Data("\n".utf8) }
  }

  /// Reads a line.
  ///
  /// - Throws: an error for anything else.
  public init(line: Data) throws { self = try JSONDecoder().decode(Self.self, from: line) }

  /// The task, if it is of this kind.
  public func decoded<Task: WorkerTask>(_: Task.Type) throws -> Task? {
    guard task == Task.name else { return nil }
    return try JSONDecoder().decode(Task.self, from: Data(content.utf8))
  }
}

/// What comes back from the worker: one line of JSON each on its standard output.
public enum WorkerLine: Codable {
  case event(WorkerEvent)
  /// The document that the task gives, as JSON; the last line of a task that was done.
  case result(String)

  /// The line, with its end.
  public var data: Data {
    get throws { try JSONEncoder().encode(self) + Data("\n".utf8) }
  }

  /// Reads a line; nil for what a library has printed in between.
  public init?(line: Data) {
    guard let value = try? JSONDecoder().decode(Self.self, from: line) else { return nil }
    self = value
  }
}
