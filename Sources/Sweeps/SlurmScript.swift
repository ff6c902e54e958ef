/// The texts of scripts that Slurm runs.
struct SlurmScript {
  let profile: SlurmProfile
  /// Where sbatch was found; Slurm's other programs lie beside it. Nil: unknown.
  let tools: String?

  /// The exit status by which a cell says that it has made a checkpoint and wants to go on later.
  static let requeueStatus = 75

  /// The script of an array: each task does one cell.
  ///
  /// The script alone puts a task back into the queue, since it runs where Slurm's programs are, which a container
  /// may not have, and only once the program has ended, so that nothing ends a checkpoint half-way.
  ///
  /// - Parameters:
  ///   - title: its first comment.
  ///   - command: what does a cell, without the cell's number, which is added.
  ///   - offset: of the array.
  func cells(_ title: String, command: [String], offset: Int) -> String {
    """
    \(Self.head(title, profile.modules))
    # The first start of a cell and every later one are this same command.
    set -u

    \(Self.listening)

    \(Self.requeueing)

    \(preparation)
    listen
    cell=$((SLURM_ARRAY_TASK_ID + \(offset)))
    # With its index: the bare number would stand for all tasks of the array.
    task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
    say "start $((${SLURM_RESTART_COUNT:-0} + 1))"
    [ -z "$notice$stopped" ] || requeue

    \(ShellWord.command(profile.prefix + command)) "$cell" &
    program=$!
    # One that came before the program had a number.
    for each in $notice ${stopped:+TERM}; do kill -s "$each" "$program" 2>/dev/null; done

    # A signal ends `wait`, not the program.
    status=0
    while :; do
      before=$count
      wait "$program"
      status=$?
      [ "$before" != "$count" ] || break
    done
    program=

    killed=
    [ "$status" -le 128 ] || killed=$(kill -l "$status" 2>/dev/null)
    say "status $status"
    # One that is not yet listening is ended by the signal, and has lost nothing.
    if [ "$status" = \(Self.requeueStatus) ] || { [ -n "$notice" ] && [ "$killed" = "$notice" ]; }; then requeue; fi
    exit "$status"

    """
  }

  /// The script that runs a command as it is.
  ///
  /// - Parameters:
  ///   - title: its first comment.
  ///   - command: words of the command.
  func command(_ title: String, _ command: [String]) -> String {
    """
    \(Self.head(title, profile.modules))
    set -u
    \(preparation)
    \(ShellWord.command(command))

    """
  }

  /// Modules are functions of login shells.
  private static func head(_ title: String, _ modules: [String]) -> String {
    "#!/bin/bash\(modules.isEmpty ? "" : " -l")\n\(ShellWord.comment(title))"
  }

  /// Modules and the profile's own lines, which may do as they like, and where Slurm's programs are.
  private var preparation: String {
    let modules = profile.modules.map(ShellWord.quoted).map { name in
      "module load \(name) || { echo \(name) 'is a module that cannot be loaded' >&2; exit 66; }"
    }
    let foreign = modules + profile.setup
    let lines =
      (foreign.isEmpty ? [] : ["set +u"] + foreign + ["set +e -u"])
      + (tools.map { ["PATH=$PATH:\(ShellWord.quoted($0))"] } ?? [])
    return lines.joined(separator: "\n")
  }

  /// Notes signals, and passes them on to the program once it runs.
  private static let listening = """
    count=0   # signals so far
    notice=   # the last one that asks for a checkpoint
    stopped=  # whether one has asked to stop for good
    program=  # its process
    note() {
      count=$((count + 1))
      if [ "$1" = TERM ]; then stopped=yes; else notice=$1; fi
      [ -z "$program" ] || kill -s "$1" "$program" 2>/dev/null
    }
    listen() {
      trap 'note USR1' USR1
      trap 'note USR2' USR2
      trap 'note TERM' TERM
    }
    listen
    """

  /// Puts the task back into the queue, unless Slurm has told it to stop: then it is cancelled, or Slurm itself puts
  /// it back.
  private static let requeueing = """
    say() { echo "slurm: $(date +%FT%T) cell $cell, task $task, ${SLURMD_NODENAME:-$(uname -n)}: $*"; }
    requeue() {
      [ -z "$stopped" ] || exit 130
      # Said before, since Slurm ends this script, and what it has started, as soon as it is asked.
      say "asks Slurm to put it back into the queue"
      for pause in 1 5 15; do
        if scontrol requeue "$task"; then
          trap - USR1 USR2 TERM
          [ -n "$stopped" ] || sleep 600
          exit \(requeueStatus)
        fi
        sleep "$pause"
        [ -z "$stopped" ] || exit 130
      done
      say "cannot be put back into the queue; the command that submitted it starts it again"
      exit \(requeueStatus)
    }
    """
}
