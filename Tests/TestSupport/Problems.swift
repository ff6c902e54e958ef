import Problems

/// Whether an error is a problem of a code whose facts have all these words.
public func isProblem(_ error: any Error, _ code: ProblemCode, _ words: String...) -> Bool {
  let problem = Problem(error)
  return problem.code == code && words.allSatisfy { problem.reason.contains($0) }
}
