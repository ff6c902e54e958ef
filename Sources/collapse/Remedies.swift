import Experiment
import Foundation
import Problems
import Records
import Sweeps

extension Problem {
  /// Ways to mend it, one a line.
  func remedies(_ context: ProblemContext) -> [String] {
    let options = DataOptions(context)
    switch code {
    case .unknownKey: return ["Keys here: \(list)."]
    case .badRunConfiguration: return choices.isEmpty ? [] : ["Keys here: \(list)."]
    case .unknownName: return ["Those that are known: \(list)."]
    case .unknownPreset: return ["Presets: \(list)."]
    case .unknownItem: return ["Items: \(list)."]
    case .unknownPart: return ["They are: \(list)."]
    case .unknownScale:
      return [
        "Scales: \(list); or the path of a file like those in presets/reproduce, which",
        "collapse reproduce --show small prints.",
      ]
    case .unknownClass: return choices.isEmpty ? [] : ["Its classes:"] + choices
    case .ambiguousClass:
      return ["For the one of that name: name:\(subject). For the one of that number: number:\(subject)."]
    case .exists: return ["Choose another one with --out, or remove it; nothing in it was touched."]
    case .cannotMakeDirectory: return ["Choose a place that you may write to with --out."]

    case .unreadableFile: return ["Give yourself the right to read it."]
    case .unwritableFile: return ["Is the disk full, or the directory read-only?"]
    case .newerDocument: return ["A later version of this program made it: use that one."]

    case .missingData: return fetching(options)
    case .unfetchedData: return subject == "fashion-mnist" ? FashionMNISTWords.places : places(options)
    case .missingDataPlace: return choices
    case .missingDataDirectory:
      return ["Set it to the directory with your data sets, or unset it to have them fetched."]
    case .malformedData: return choices.isEmpty ? [] : fetching(options)
    case .wrongChecksum:
      return ["Remove \(subject) and run: collapse data fetch \(choices.first ?? "fashion-mnist")"]
    case .wrongDownload: return ["The server, or something on the way, gives another file; try again later."]
    case .missingIDXFile: return ["The files must be \(list)."]
    case .unreadableData:
      return ["A broken link, a name that is not UTF-8, or no permission? Mend or remove it."]
    case .cannotUnpack: return ["GNU tar and gzip, and room in COLLAPSE_CACHE, are needed."]
    case .partialData: return ["To work with a part of the images, name its place: \(options.path)PATH"]
    case .corruptImages: return [options.skipping]
    case .unequalImages:
      return choices.isEmpty
        ? ["To scale and crop all of them: \(options.imageSize)N"]
        : [options.skipping, "For images of different sizes: \(options.imageSize)N"]
    case .wrongLayout:
      return ["Images lie in train/<class>/ and test/<class>/, as JPEG or PNG files: docs/formats.md."]
    case .wrongArrays:
      return [
        "Known are train_images, train_labels, test_images, test_labels; x_train, y_train, x_test, y_test; and SVHN's files.",
        "In Python: np.savez(\"data.npz\", train_images=…, train_labels=…, test_images=…, test_labels=…)",
      ]
    case .classWithoutImages: return ["Remove the directory if the class is not wanted."]
    case .tooFewImages: return fewerImages
    case .unwritableCache:
      return ["Set COLLAPSE_CACHE to a directory that you may write to, with room for it."]
    case .damagedPack:
      return [
        "Run the same command again: the images are then packed anew from their files.",
        "If it comes again, look to the disk and the memory; if the file is still there, remove \(subject)",
      ]
    case .hostileArchive:
      return ["Such a file was made to do harm, or by mistake: take the official one."]

    case .unfitImages:
      return ["Choose a patch that divides both, such as in vit-ti-1, or a WideResNet or ResNet."]
    case .unfitSimplex: return ["Choose a wider network or fewer classes, or --set model.classifier=learned."]
    case .batchTooLarge: return ["--set batch_size=\(list), or more images (data.train_limit)."]
    case .missingLayer: return ["Its layers are 0 (the image) to \(subject)."]
    case .tooManyClasses: return ["--set capture.class_count=0 captures all of them."]
    case .noClassToken: return ["Networks that have one: \(list)."]
    case .unreadableWeights: return FormatAdvice(self, .weights).lines
    case .otherFormat: return FormatAdvice(self, .arrays).lines
    case .otherDataFormat: return FormatAdvice(self, .images).lines
    case .pickle: return FormatAdvice.trusting
    case .unknownLayout: return ["--module takes any network as a TorchScript module: \(Self.guide)."]
    case .unfitWeights:
      guard case .foreignNetwork = context else { return [] }
      return [
        "--model names the architecture, --network-classes those that the network knows;",
        "--module takes any other network as a TorchScript module: \(Self.guide).",
      ]
    case .notTorchScript: return FormatAdvice(self, .module).lines
    case .noLinearClassifier:
      return [
        "Return the input of the last linear layer as features; --classifier NAME says which layer that is."
      ]
    case .otherClassCount: return ["--network-classes chooses and orders those that the network knows."]
    case .notFinite: return ["Are all of its weights finite, and the images normalised as in its training?"]

    case .notARun: return ["collapse train makes one; by default under runs/."]
    case .nothingToReport: return ["collapse train and collapse reproduce make such directories."]
    case .locked: return ["Wait for it to end, or stop it; then: collapse resume \(subject)"]
    case .noWeights: return ["collapse resume \(subject) trains on."]
    case .noCapture: return ["collapse capture \(subject) --class-count 0 makes one."]
    case .damagedFile: return madeAgain
    case .damagedMetrics:
      return [
        "log.txt has the epoch's numbers; or train it anew: collapse train --config \(subject) --out NEW"
      ]
    case .changedConfiguration:
      return ["Change it back; or train a new run: collapse train --config \(subject) --out NEW_DIRECTORY"]
    case .noState:
      return ["Was it copied without its state-*.safetensors, or made by an older version?", anew]
    case .unfitState: return ["The run can't be continued from this file.", anew]
    case .unwrittenCheckpoint:
      return [
        "Is the disk full, or the directory read-only or moved? Once it is mended: collapse resume \(subject)",
        "goes on from the checkpoint before, or from the start.",
      ]
    case .remains: return ["Put config.yaml back, or remove the directory."]
    case .diverged: return afterDivergence
    case .allDiverged: return ["Choose lower learning rates under sweeps in the scale's file."]

    case .missingCapture, .notACapture: return ["collapse capture RUN makes a capture, and says where."]
    case .notThreeClasses: return ["Capture three: collapse capture RUN --classes 0,1,2"]
    case .missingTrajectories, .notTrajectories:
      return ["collapse capture RUN --trajectories --class-count 3 makes such a capture."]
    case .noUnevenMixtures: return ["collapse capture RUN --trajectories --lambdas 11 makes such a capture."]
    case .missingArray:
      return ["--array \(subject)=FILE, FILE:NAME or NAME says where it is or what it is called."]
    case .missingArraySource:
      let file = if case .measurement(let request) = context { request.file } else { "It" }
      return choices.isEmpty ? [] : ["\(file) holds \(list)."]
    case .emptyClass:
      return [
        "For a run of collapse, captures of all classes hold all that is needed: "
          + "collapse capture RUN --class-count 0"
      ]
    case .otherLogits:
      return [
        "Are features, logits and classifier of one network, and the features what its last layer gets?",
        "To measure without one of them: --without logits, or --without classifier.",
      ]
    case .transposedClassifier:
      return ["Flax and Keras keep d×C; the classifier here is C×d: write its transpose."]
    case .tooManyToResample: return ["Measure a part of them, or leave --bootstrap out."]

    case .noDevice:
      return [
        "device auto takes what is there (--device auto, or device: auto in the run's config.yaml);",
        "collapse doctor shows what that is.",
      ]
    case .noCompiler:
      return [
        "NVRTC comes with PyTorch's CUDA build (nvidia-cuda-nvrtc); COLLAPSE_NVRTC names another libnvrtc.so;",
        "or go on without: --set engine.kernels=off",
      ]
    case .outOfMemory:
      return [
        "Take each batch in parts, for the same step but for batch statistics: --set gradient_accumulation=2 (4, …);",
        "or try smaller batches: --set batch_size=…, --set evaluation.batch_size=…",
      ]
    case .missingWorker: return ["make build makes it beside collapse."]
    case .missingEngine, .unfitEngine: return EngineLocation.remedies
    case .otherEngine:
      return [
        "Point COLLAPSE_LIBTORCH to libtorch \(subject), or unset it;",
        "or rebuild against the other one: COLLAPSE_LIBTORCH=… make build",
      ]
    case .workerEnded: return goingOn
    case .workerKilled: return ["It may have run out of memory: try a smaller batch_size."] + goingOn
    case .badLauncher:
      return [
        "torchrun and srun set these variables: torchrun --no-python --nproc-per-node 2 collapse train …;",
        "to train in one process where they are set: unset RANK WORLD_SIZE",
      ]
    case .unequalWorkers:
      return ["Start every worker with the same program, the same settings and the same data."]
    case .lostWorker: return goingOn
    case .noPythonPackage where subject.isEmpty:
      return ["Install Python 3, or set COLLAPSE_PYTHON to one; it needs no packages."]
    case .noPythonPackage where ["h5py", "scipy", "pyarrow"].contains(subject):
      return [
        "In the project's directory: .collapse/venv/bin/python -m pip install \(subject)",
        "or set COLLAPSE_PYTHON to a Python that has \(subject) (pip install \(subject)).",
      ]
    case .noPythonPackage:
      return [
        "In the project's directory, scripts/bootstrap installs it;",
        "or set COLLAPSE_PYTHON to a Python that has \(subject) (pip install \(subject)).",
      ]
    case .interrupted: return subject.isEmpty ? [] : ["continue with: collapse resume \(subject)"]

    // The message says all that there is to say.
    case .badSetting, .badAssignment, .badYAML, .outOfRange, .missingFile, .otherFile,
      .unfitNormalization,
      .unknownNetwork, .unseenLayers, .wrongOutputs, .changedData, .unfitArrays, .undefinedMeasure,
      .engineFailed,
      .toolFailed, .notRendered, .internalError:
      return []
    }
  }

  static let guide = "docs/bring-your-own-network.md"

  private var list: String { choices.joined(separator: ", ") }

  private var anew: String { "Train it anew: collapse train --config \(subject) --out NEW_DIRECTORY" }

  /// Ways to a whole file where a damaged one is.
  private var madeAgain: [String] {
    let place = URL(fileURLWithPath: subject)
    switch place.lastPathComponent {
    case RunSummary.fileName:
      return ["collapse resume \(place.deletingLastPathComponent().path) makes it again."]
    case Manifest.fileName: return ["Remove it, if you can do without when and where the run was made."]
    case Evaluation.fileName, Measurement.fileName, SweepResults.fileName, OtherDataReport.fileName:
      return ["Remove it: the command that made it makes it again."]
    case SlurmJobs.fileName:
      return ["Once none of its jobs is in the queue any more, remove it and give the command again."]
    default: return []
    }
  }

  private var fewerImages: [String] {
    switch subject {
    case "train", "test": ["Lower data.\(subject)_limit, or set it to 0 for all."]
    case "validation": ["Lower data.validation."]
    default: []
    }
  }

  /// Ways to a data set that is not here.
  private func fetching(_ options: DataOptions) -> [String] {
    ["collapse data fetch \(subject)"] + places(options)
  }

  /// Where a data set that a site offers as an archive may be put.
  private func places(_ options: DataOptions) -> [String] {
    guard choices.count == 2 else { return [] }
    return [
      "or put \(choices[0]) from \(choices[1])/ into COLLAPSE_DATA,",
      "or name its place, packed or unpacked: \(options.path)PATH",
    ]
  }

  private var afterDivergence: [String] {
    [
      Double(subject).map { "Try a lower rate: --set optimizer.learning_rate=\($0 / 4)" },
      "or a warm-up: --set schedule.kind=cosine --set schedule.warmup_epochs=1",
      choices.contains("bf16") ? "or full precision: --set precision=fp32" : nil,
    ].compactMap { $0 }
  }

  private var goingOn: [String] { subject.isEmpty ? [] : ["The run can go on: collapse resume \(subject)"] }
}

private enum FashionMNISTWords {
  static let places = [
    "On Debian or Ubuntu: sudo apt-get update && sudo apt-get install dataset-fashion-mnist",
    "Or put the four IDX files into a directory and set COLLAPSE_DATA to it.",
  ]
}

/// What settings of data are called where a user gives them.
private struct DataOptions {
  let path, imageSize, skipCorrupt: String

  init(_ context: ProblemContext) {
    (path, imageSize, skipCorrupt) =
      switch context {
      case .run, .measurement: ("--set data.path=", "--set data.image_size=", "--set data.skip_corrupt=true")
      case .foreignNetwork: ("--data-path ", "--image-size ", "--skip-corrupt")
      }
  }

  var skipping: String { "Remove or replace them, or go on without them: \(skipCorrupt)" }
}
