import Foundation
import Problems
import TestSupport
import Testing

@testable import Sweeps

@Suite struct SlurmProfileTests {
  static func arguments(_ text: String) throws -> [String] {
    try SlurmProfile(text: text, file: "p.yaml").cells.arguments
  }

  @Test func everyKey() throws {
    let profile = try SlurmProfile(
      text: """
        partition: gpu
        account: lab-7
        qos: normal
        time: 12:00:00
        gpus: a100:2
        cpus: 8
        memory: 32G
        constraint: "a100&nvlink"
        options: {exclude: [n1, n2], exclusive: true, nice: 100, mail-type: false, comment: "a b"}
        modules: [cuda/12.4, gcc]
        setup: |
          source ~/env
          export X=1
        prefix: [apptainer, exec, --nv, a b.sif]
        max_parallel: 16
        signal_seconds: 300
        array_limit: 500
        follow_up: {partition: cpu, gpus: 0, time: 30, options: {exclusive: false}}
        """, file: "p.yaml")
    #expect(
      profile.cells.arguments == [
        "--partition=gpu", "--account=lab-7", "--qos=normal", "--time=12:00:00", "--gres=gpu:a100:2",
        "--cpus-per-task=8", "--mem=32G", "--constraint=a100&nvlink", "--comment=a b", "--exclude=n1,n2",
        "--exclusive", "--nice=100",
      ])
    #expect(
      profile.followUp.arguments == [
        "--partition=cpu", "--account=lab-7", "--qos=normal", "--time=30", "--cpus-per-task=8", "--mem=32G",
        "--constraint=a100&nvlink", "--comment=a b", "--exclude=n1,n2", "--nice=100",
      ])
    #expect(
      profile.modules == ["cuda/12.4", "gcc"] && profile.prefix == ["apptainer", "exec", "--nv", "a b.sif"])
    #expect(profile.setup == ["source ~/env\nexport X=1\n"])
    #expect(profile.maxParallel == 16 && profile.signalSeconds == 300 && profile.arrayLimit == 500)
  }

  @Test func defaults() throws {
    for text in ["", "# nothing\n", "{}"] {
      let profile = try SlurmProfile(text: text, file: "p.yaml")
      #expect(profile == SlurmProfile() && profile.cells.arguments == ["--gres=gpu:1"])
      #expect(profile.signalSeconds == 120 && profile.arrayLimit == nil && profile.maxParallel == nil)
    }
  }

  /// The one that people copy.
  @Test func documentedProfile() throws {
    let here = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    let root = here.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(contentsOf: root.appendingPathComponent("docs/clusters.md"), encoding: .utf8)
    let block = try #require(page.firstMatch(of: /```yaml\n(# cluster\.yaml\n(?s:.*?))```/)).1
    let profile = try SlurmProfile(text: String(block), file: "clusters.md")
    #expect(profile.cells.gpus == "a100:1" && profile.cells.arguments.contains("--exclude=node13,node14"))
    #expect(profile.followUp.arguments.prefix(3) == ["--partition=cpu", "--account=my-group", "--time=30"])
    #expect(profile.followUp.constraint == nil && profile.followUp.gpus == "0")
  }

  /// What the job that follows is not to have of the cells'.
  @Test func takenBack() throws {
    let profile = try SlurmProfile(
      text: """
        constraint: nvlink
        qos: high
        memory: 64G
        options: {gpus-per-node: 1, comment: x}
        follow_up: {constraint: , memory: ~, qos: low, gpus: 0, options: {comment: false}}
        """, file: "p.yaml")
    #expect(profile.followUp.arguments == ["--qos=low"])
    #expect(profile.cells.arguments.count == 5)
  }

  /// Clusters have several words for GPUs.
  @Test func otherWordsForGPUs() throws {
    #expect(try Self.arguments("options: {gpus-per-node: 2}") == ["--gpus-per-node=2"])
    #expect(try Self.arguments("options: {gres: 'shard:1'}") == ["--gres=shard:1"])
    #expect(throws: Problem.self) { try Self.arguments("gpus: 1\noptions: {gres: 'gpu:1'}") }
  }

  @Test(arguments: [
    (
      "partitoin: gpu", ProblemCode.unknownKey,
      "p.yaml:1: there is no key \"partitoin\" here. Did you mean \"partition\"?"
    ),
    (
      "cpus: 4\nfollow_up:\n  tiem: 3", .unknownKey,
      "p.yaml:3: there is no key \"tiem\" here. Did you mean \"time\"?"
    ),
    ("follow_up: {modules: [a]}", .unknownKey, "there is no key \"modules\""),
    ("- a", .badSetting, "a group of keys"),
    ("time: [", .badYAML, "p.yaml is not valid YAML"),
    ("time: one hour", .badSetting, "p.yaml:1: time must be a time as Slurm writes it"),
    ("time: 1:2:3:4", .badSetting, "time must be"),
    ("time: 0", .badSetting, "time must be"),
    ("time:", .badSetting, "time must be"),
    ("time: 3", .badSetting, "a cell would be told to stop as soon as it starts: time is 180 s"),
    ("time: 0:10:00\nsignal_seconds: 600", .badSetting, "p.yaml:1"),
    ("gpus: -1", .badSetting, "gpus must be a number of GPUs"),
    ("gpus: 1.5", .badSetting, "gpus must be"),
    ("gpus: [1]", .badSetting, "gpus must be a single value"),
    ("cpus: 0", .badSetting, "cpus must be a whole number from 1"),
    ("cpus: four", .badSetting, "cpus must be"),
    ("memory: 12Q", .badSetting, "memory must be a size"),
    ("partition:", .badSetting, "partition must be a value"),
    ("account: \"a\\nb\"", .badSetting, "account must be"),
    ("max_parallel: 0", .badSetting, "max_parallel must be"),
    ("signal_seconds: 70000", .badSetting, "signal_seconds must be a whole number from 1 to 65535"),
    ("array_limit: 0", .badSetting, "array_limit must be"),
    ("modules: {a: 1}", .badSetting, "modules must be a text or a list of texts"),
    ("setup: [[a]]", .badSetting, "setup must be"),
    ("options: [a]", .badSetting, "a group of keys"),
    ("options: {array: 0-3}", .badSetting, "the option array cannot be set: this program sets it"),
    ("options: {no-requeue: true}", .badSetting, "a cell goes on where it was stopped"),
    ("options: {nodes: 2}", .badSetting, "a cell is one job on one node"),
    ("options: {mem: 3G}", .badSetting, "the option mem is what the key memory is for"),
    ("options: {--nice: 3}", .badSetting, "written without its dashes"),
    ("options: {\"nice=3 --wrap\": 3}", .badSetting, "written without its dashes"),
    ("options: {comment: \"a\\nb\"}", .badSetting, "must be on one line"),
  ])
  func refused(_ text: String, _ code: ProblemCode, _ words: String) throws {
    let error = #expect(throws: Problem.self) { try SlurmProfile(text: text, file: "p.yaml") }
    #expect(error.map { isProblem($0, code, words) } == true, "\(error?.reason ?? "")")
  }

  @Test func files() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(Array("partition: gpu\n".utf8), to: "p.yaml")
    #expect(try SlurmProfile(path: path).cells.partition == "gpu")
    let missing = #expect(throws: Problem.self) { try SlurmProfile(path: directory.file("none.yaml")) }
    #expect(missing?.code == .missingFile)
    let damaged = try directory.write([0xff, 0xfe, 0x00], to: "b.yaml")
    #expect(#expect(throws: Problem.self) { try SlurmProfile(path: damaged) }?.code == .damagedFile)
  }

  /// As `man sbatch` lists them.
  @Test func times() {
    let expected = [
      "90": 5400, "90:30": 5430, "2:00:00": 7200, "1-12": 129_600, "1-12:30": 131_400, "1-12:30:15": 131_415,
      "0:59": 59, "12:34:56": 45_296,
    ]
    for (text, seconds) in expected { #expect(SlurmResources.seconds(text) == seconds, "\(text)") }
    for text in ["", "x", "1:", "-1", "UNLIMITED", "1.5", "1-2-3"] {
      #expect(SlurmResources.seconds(text) == nil, "\(text)")
    }
  }
}
