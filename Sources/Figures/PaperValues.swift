/// What the paper reports, by network ("wrn" is WRN-40-10, "vit" is ViT-B/4), data set and variant.
public enum PaperValues {
  private static let accuracies: [String: [String: [String: Double]]] = [
    "wrn": [
      "fashion-mnist": ["baseline": 95.10, "mixup": 94.21],
      "cifar10": ["baseline": 96.2, "mixup": 97.30, "etf": 97.35],
      "cifar100": ["baseline": 80.03, "mixup": 81.42],
    ],
    "vit": [
      "fashion-mnist": ["baseline": 93.71, "mixup": 94.24],
      "cifar10": ["baseline": 86.92, "mixup": 92.56],
      "cifar100": ["baseline": 59.95, "mixup": 69.83],
    ],
  ]

  private static let calibrationErrors: [String: [String: Double]] = [
    "wrn": ["baseline": 0.024, "mixup": 0.077, "alpha-0.4": 0.013],
    "vit": ["baseline": 0.122, "mixup": 0.014, "alpha-0.4": 0.019],
  ]

  /// Test accuracy in percent (Table 1; for the fixed classifier, section 3.2).
  public static func accuracy(_ network: String, _ dataset: String, _ variant: String) -> Double? {
    accuracies[network]?[dataset]?[variant]
  }

  /// Expected calibration error on CIFAR10 (Table 2).
  public static func calibrationError(_ network: String, _ variant: String) -> Double? {
    calibrationErrors[network]?[variant]
  }
}
