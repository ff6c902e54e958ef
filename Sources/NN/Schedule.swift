import Foundation

/// How the learning rate changes during training, as a factor on its base value.
public enum Schedule: Sendable, Equatable {
  /// Always 1.
  case constant
  /// Multiplied by `factor` at each milestone, given as a fraction of all epochs.
  case step(milestones: [Double], factor: Double)
  /// ½ (1 + cos π t), from 1 to 0, after a linear warm-up over some epochs; every step.
  case cosine(warmupEpochs: Double)

  /// The factor at a step of an epoch.
  ///
  /// - Parameters:
  ///   - epoch: 0 ..< epochs, counting.
  ///   - step: 0 ..< stepsPerEpoch.
  ///   - epochs: of the whole run.
  ///   - stepsPerEpoch: of each.
  public func factor(epoch: Int, step: Int, epochs: Int, stepsPerEpoch: Int) -> Double {
    switch self {
    case .constant: return 1
    case .step(let milestones, let factor):
      let passed = milestones.filter { Double(epoch) >= $0 * Double(epochs) - 1e-9 }.count
      return pow(factor, Double(passed))
    case .cosine(let warmupEpochs):
      let done = Double(epoch * stepsPerEpoch + step)
      let warmup = warmupEpochs * Double(stepsPerEpoch)
      if done < warmup { return (done + 1) / warmup }
      let total = Double(epochs * stepsPerEpoch)
      return 0.5 * (1 + cos(.pi * (done - warmup) / max(1, total - warmup)))
    }
  }
}
