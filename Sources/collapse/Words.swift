import Problems
import Records

/// Where a problem arose: what a user gives as a setting there may be an option here.
enum ProblemContext: Sendable {
  /// A run and its configuration.
  case run
  /// A capture of a network that was trained elsewhere.
  case foreignNetwork
  /// A measurement of what is asked for.
  case measurement(MeasureRequest)
}

extension Failure {
  /// What a user is told of a problem.
  init(_ problem: Problem, in context: ProblemContext = .run) {
    self.init(problem.code.status, problem.sentence(context), remedies: problem.remedies(context))
  }

  /// What a user is told of an error of any room.
  init(describing error: any Error, in context: ProblemContext = .run) {
    self = error as? Failure ?? Failure(Problem(error), in: context)
  }
}

extension Problem {
  /// What happened, with the option that it is about, and a full stop.
  fileprivate func sentence(_ context: ProblemContext) -> String {
    let option =
      switch code {
      case .unknownName:
        if case .measurement(let request) = context {
          request.left.contains(subject) ? "--without \(subject): " : "--array \(subject)=…: "
        } else {
          ""
        }
      case .missingArraySource: "--array \(subject): "
      case .tooManyToResample: "--bootstrap: "
      case .unseenLayers: "--layers: "
      case .badAssignment: "--set: "
      case .missingDataPlace: "--data: "
      default: ""
      }
    return option + sentence
  }
}

extension ProblemCode {
  /// The exit status of a program that ends for it.
  var status: ExitStatus {
    switch self {
    case .badSetting, .badAssignment, .badYAML, .unknownKey, .unknownName, .unknownPreset, .unknownItem,
      .unknownScale,
      .unknownPart,
      .unknownClass, .ambiguousClass, .exists,
      .cannotMakeDirectory, .outOfRange, .tooFewImages, .unfitNormalization, .unknownNetwork, .unfitImages,
      .unfitSimplex, .batchTooLarge, .missingLayer, .tooManyClasses, .noClassToken, .unseenLayers,
      .otherClassCount,
      .locked, .changedConfiguration, .notThreeClasses, .tooManyToResample, .noDevice, .badLauncher,
      .unequalWorkers:
      .usage
    case .damagedFile, .badRunConfiguration, .otherFile, .otherFormat, .otherDataFormat, .newerDocument,
      .pickle, .malformedData,
      .wrongChecksum, .wrongDownload,
      .partialData, .corruptImages, .damagedPack, .unequalImages, .wrongLayout, .wrongArrays,
      .classWithoutImages,
      .hostileArchive,
      .unreadableWeights, .unknownLayout, .unfitWeights, .notTorchScript, .wrongOutputs, .noLinearClassifier,
      .notFinite, .damagedMetrics, .changedData, .noState, .unfitState, .remains, .notACapture,
      .notTrajectories,
      .noUnevenMixtures,
      .missingArray, .unfitArrays, .emptyClass, .otherLogits, .transposedClassifier, .undefinedMeasure,
      .unfitEngine,
      .otherEngine:
      .badData
    case .missingFile, .unreadableFile, .missingData, .unfetchedData, .missingDataDirectory,
      .missingDataPlace, .missingIDXFile,
      .unreadableData, .cannotUnpack, .unwritableCache, .notARun, .nothingToReport, .noWeights, .noCapture,
      .missingCapture, .missingTrajectories, .missingArraySource, .missingWorker, .missingEngine, .toolFailed,
      .noPythonPackage, .noCompiler:
      .missing
    case .unwritableFile, .unwrittenCheckpoint, .diverged, .allDiverged, .outOfMemory, .engineFailed,
      .workerEnded,
      .workerKilled, .lostWorker, .notRendered, .internalError:
      .internalError
    case .interrupted:
      .interrupted
    }
  }
}
