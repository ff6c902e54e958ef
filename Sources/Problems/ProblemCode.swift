/// What sort of thing went wrong. The program's table has an exit status and remedies for each.
public enum ProblemCode: String, Codable, Sendable, CaseIterable {
  // MARK: What was asked for
  /// A setting or an option that cannot be so.
  case badSetting
  /// A single setting without key or value; `subject` is what was written.
  case badAssignment
  /// Text that is not YAML, or grows without end.
  case badYAML
  /// A key that no settings have; `choices` are those of its group.
  case unknownKey
  /// A name of a list that is not in it; `choices` is the list.
  case unknownName
  /// A name of no preset; `choices` are those that there are.
  case unknownPreset
  /// A name of no item of the paper; `choices` are all.
  case unknownItem
  /// A name of no scale of the programme; `choices` are those that come with the program.
  case unknownScale
  /// A name in a scale's file that means nothing there; `choices` are those that do.
  case unknownPart
  /// A class that does not exist; `choices` are those that do.
  case unknownClass
  /// A class that could be two; `subject` is what was written.
  case ambiguousClass
  /// A place for something new that is taken.
  case exists
  /// A directory that cannot be made.
  case cannotMakeDirectory
  /// A number of theory out of its range.
  case outOfRange

  // MARK: Files
  case missingFile
  case unreadableFile
  case unwritableFile
  /// A file that is not as it was written, or not what its format prescribes.
  case damagedFile
  /// A whole file of another kind than is needed.
  case otherFile
  /// A file of a kind that holds no arrays; `choices` is the kind.
  case otherFormat
  /// A document that a later version has written.
  case newerDocument
  /// A file of PyTorch that asks for more than tensors when it is read; `choices` is its kind.
  case pickle

  // MARK: Data sets
  /// A data set that is not here; `subject` is its name, `choices` are its archive and the site that has it, if
  /// any.
  case missingData
  /// A data set that could not be brought here; as ``missingData``.
  case unfetchedData
  /// `COLLAPSE_DATA` names no directory.
  case missingDataDirectory
  /// A directory that is to hold data sets and is none, or holds none; `subject` is the directory, `choices`
  /// are the lines that say what was looked for.
  case missingDataPlace
  /// Files that are not what their form prescribes; where `choices` is not empty, as ``missingData``.
  case malformedData
  /// Files whose content is another's; `subject` is their directory, `choices` the data set's name.
  case wrongChecksum
  /// A download that is another file than is wanted.
  case wrongDownload
  /// One of four IDX files is missing; `choices` are their names.
  case missingIDXFile
  /// A file or directory of images that cannot be read.
  case unreadableData
  /// An archive that could not be unpacked for want of programs or room.
  case cannotUnpack
  /// A file of a kind that the data set does not come in; `choices` is the kind, and the data set's name.
  case otherDataFormat
  /// Only a part of a data set's files, where the whole is looked for.
  case partialData
  /// Images that cannot be decoded.
  case corruptImages
  /// Images of several sizes.
  case unequalImages
  /// A directory that is not laid out as folders of classes.
  case wrongLayout
  /// Arrays under names that say nothing of images and labels.
  case wrongArrays
  /// A class without images; `subject` is its name.
  case classWithoutImages
  /// More images asked for than there are; `subject` is the setting.
  case tooFewImages
  /// Statistics that do not fit the images.
  case unfitNormalization
  case unwritableCache
  /// A pack of decoded images that is not as it was written; `subject` is its file.
  case damagedPack
  /// An archive or a pickle that holds what it should not.
  case hostileArchive

  // MARK: Networks
  /// A name of no network; `choices` are examples.
  case unknownNetwork
  /// Images of a size that a network cannot take.
  case unfitImages
  /// Too many classes for a simplex ETF in the feature space.
  case unfitSimplex
  /// A batch of more images than there are; `choices` is what would fit.
  case batchTooLarge
  /// A layer to mix at that a network does not have; `subject` is the last one.
  case missingLayer
  /// More classes to capture than there are.
  case tooManyClasses
  /// A network without a class token; `choices` are some with one.
  case noClassToken
  /// A TorchScript module, of which layers cannot be seen.
  case unseenLayers
  /// A file of weights that cannot be read; `choices` is its kind, where that is why.
  case unreadableWeights
  /// Weights under names of no known layout.
  case unknownLayout
  /// Weights of another architecture or number of classes.
  case unfitWeights
  /// What is no TorchScript module; `choices` is the kind of file that it is.
  case notTorchScript
  /// A module that does not give features and logits.
  case wrongOutputs
  /// A module whose logits are no linear map of its features.
  case noLinearClassifier
  /// A network of another number of classes than the data.
  case otherClassCount
  /// Outputs of a network that are not finite.
  case notFinite

  // MARK: Runs
  /// A path that is no run's directory.
  case notARun
  /// A path that is neither a run nor a reproduction.
  case nothingToReport
  /// A run whose directory another process is training in.
  case locked
  /// A run without weights; `subject` is its directory.
  case noWeights
  /// A run without a capture of a name; `subject` is its directory.
  case noCapture
  /// A run's configuration that cannot be read; `choices` are the keys that there are where one does not exist.
  case badRunConfiguration
  /// A row of metrics that is damaged; `subject` is the run's configuration.
  case damagedMetrics
  /// A configuration that was changed under a run; `subject` is its file.
  case changedConfiguration
  /// Other images than a run started with.
  case changedData
  /// A run that has lost its states, or whose states are all damaged; `subject` is its configuration.
  case noState
  /// A state that is whole, but not of this run or this version; `subject` is the run's configuration.
  case unfitState
  /// A checkpoint that could not be written; `subject` is the run's directory.
  case unwrittenCheckpoint
  /// Remains of a run without its configuration.
  case remains
  /// The loss is no longer a number, and would not be again; `subject` is the learning rate, `choices` is
  /// "bf16" where the precision may be why.
  case diverged
  /// Every candidate of a sweep diverged.
  case allDiverged

  // MARK: Captures and measurements
  /// A capture that is not there; `subject` is its file.
  case missingCapture
  /// A file that is no capture of mixtures, or a damaged one; `subject` is the file.
  case notACapture
  /// A capture of class tokens that is not there; `subject` is its file.
  case missingTrajectories
  /// A capture of another number of classes than three.
  case notThreeClasses
  /// A file that is no capture of class tokens, or a damaged one; `subject` is the file.
  case notTrajectories
  /// A capture of class tokens without uneven mixtures of two classes.
  case noUnevenMixtures
  /// A file without an array that is needed; `subject` is the array.
  case missingArray
  /// Where an array is to be found, there is none; `choices` is what the file holds.
  case missingArraySource
  /// Arrays whose shapes, types or values do not fit.
  case unfitArrays
  /// A class without a sample.
  case emptyClass
  /// Logits that are not those of features and classifier.
  case otherLogits
  /// A classifier given as d×C.
  case transposedClassifier
  /// Too many samples to be held and drawn from.
  case tooManyToResample
  /// A measure that is undefined for these samples.
  case undefinedMeasure

  // MARK: Machine and programs
  case noDevice
  /// Kernels of our own that cannot be compiled for a device, or loaded.
  case noCompiler
  case outOfMemory
  /// An operator of libtorch that failed.
  case engineFailed
  /// The worker, which does what needs libtorch, is not there.
  case missingWorker
  /// libtorch is not there.
  case missingEngine
  /// A libtorch that is incomplete, of another version than can be used, or that cannot be loaded.
  case unfitEngine
  /// Another libtorch was loaded than the program was compiled against; `subject` is the version of that.
  case otherEngine
  /// The worker was ended by a signal; `subject` is the run's directory, if it has one.
  case workerEnded
  /// The worker was killed, as the system does for want of memory; `subject` is the run's directory, if it has
  /// one.
  case workerKilled
  /// A program of the system that is missing or cannot be run; `reason` names it.
  case toolFailed
  /// A Python, or a package in it, that is missing; `subject` is the package.
  case noPythonPackage
  /// A figure that could not be rendered.
  case notRendered
  /// What launchers say of the workers of a run is missing or makes no sense; `subject` is the variable.
  case badLauncher
  /// Workers of one run that are not of one mind: versions, settings, data or machines differ.
  case unequalWorkers
  /// A worker of a run that is gone, cannot be reached or does not answer.
  case lostWorker
  /// The user has stopped the program; `subject` is the directory of a run that has a checkpoint, if there is
  /// one.
  case interrupted
  /// A fault of the program.
  case internalError
}
