import Problems
import Tasks
import TestSupport
import Testing

/// What launchers say of the processes that they start together.
@Suite struct WorldTests {
  private static let torchrun = [
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2",
  ]
  private static let srun = [
    "SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "5", "SLURM_PROCID": "4",
    "SLURM_LOCALID": "1", "SLURM_NODEID": "2", "SLURM_STEP_TASKS_PER_NODE": "1(x2),3",
    "SLURM_STEP_NODELIST": "gpu[07-08,12],cpu1",
  ]

  @Test func torchruns() throws {
    let world = try #require(try World.of(Self.torchrun))
    #expect(world.rank == 3 && world.size == 4 && world.localRank == 1 && world.localSize == 2)
    #expect(world.address == "node1" && world.port == 29500 && world.hasAgentStore && world.restarts == 2)
    #expect(world.launcher == .torchrun && !world.isLeader)
  }

  @Test func sruns() throws {
    let world = try #require(try World.of(Self.srun))
    #expect(world.rank == 4 && world.size == 5 && world.localRank == 1 && world.localSize == 3)
    #expect(world.address == "gpu07" && world.launcher == .srun && !world.hasAgentStore)
    // All tasks of a step have one port; another job has another.
    var other = Self.srun
    other["SLURM_PROCID"] = "0"
    #expect(try World.of(other)?.port == world.port)
    other["SLURM_JOB_ID"] = "4712"
    #expect(try World.of(other)?.port != world.port)
    #expect((1024...65535).contains(world.port))
  }

  @Test(arguments: [
    ("gpu[07-08,12],cpu1", "gpu07"), ("cpu1,gpu[1-2]", "cpu1"), ("n1", "n1"), ("r[1-2]-ib", "r1-ib"),
    ("a,b", "a"),
  ]) func firstHost(list: String, host: String) throws {
    var variables = Self.srun
    variables["SLURM_STEP_NODELIST"] = list
    #expect(try World.of(variables)?.address == host)
  }

  /// How many tasks a host has is a list of any length, and may be missing or nonsense.
  @Test func tasksOfHosts() throws {
    func localSize(_ tasks: String?, node: String = "0") throws -> Int? {
      var variables = Self.srun
      (variables["SLURM_STEP_TASKS_PER_NODE"], variables["SLURM_NODEID"]) = (tasks, node)
      return try World.of(variables)?.localSize
    }
    #expect(try localSize("2(x3),5", node: "2") == 2)
    #expect(try localSize("2(x3),5", node: "3") == 5)
    #expect(try localSize("2(x1000000000000),5", node: "999999") == 2)
    // At least this process and those before it.
    for nonsense in [nil, "", "2(x-3)", "2(x0)", "0", "-1", "a", "2(x3)"] {
      #expect(try localSize(nonsense, node: "7") == 2)
    }
    for tasks in ["1", "6"] {
      #expect { try localSize(tasks) } throws: { isProblem($0, .badLauncher, "SLURM_LOCALID is 1") }
    }
  }

  /// A process alone: nothing is set, one process, or a batch script, which is no step.
  @Test func alone() throws {
    #expect(try World.of([:]) == nil)
    #expect(try World.of(["RANK": "0", "WORLD_SIZE": "1"]) == nil)
    #expect(try World.of(["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"]) == nil)
    var step = Self.srun
    step["SLURM_STEP_NUM_TASKS"] = "1"
    step["SLURM_PROCID"] = "0"
    #expect(try World.of(step) == nil)
  }

  @Test(
    arguments: [
      (["WORLD_SIZE": nil], "WORLD_SIZE is not"), (["RANK": nil], "RANK is not"),
      (["RANK": "4"], "RANK is \"4\": it must be a whole number from 0 to 3"),
      (["WORLD_SIZE": "many"], "WORLD_SIZE is \"many\""), (["MASTER_ADDR": nil], "MASTER_ADDR is not"),
      (["MASTER_ADDR": ""], "MASTER_ADDR is not"), (["MASTER_PORT": "0"], "MASTER_PORT is \"0\""),
      (["LOCAL_RANK": "2"], "LOCAL_RANK is \"2\""),
    ] as [([String: String?], String)])
  func wrong(changes: [String: String?], words: String) throws {
    var variables = Self.torchrun
    for (name, value) in changes { variables[name] = value }
    #expect { try World.of(variables) } throws: { isProblem($0, .badLauncher, words) }
  }
}
