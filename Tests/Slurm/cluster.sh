# shellcheck shell=bash
# A Slurm of two nodes on this host, in a directory of its own; sourced by `run`.
#
# start_cluster DIR   sets up and starts in DIR, and waits until the nodes are idle; exports SLURM_CONF
# kill_node NAME      ends a node and all that runs on it at once, as a failure of power does
# stop_cluster        ends every process of it
#
# The daemons run as the user who calls. A node has two GPUs, played by character devices.

readonly cluster_nodes=(node1 node2)
readonly cluster_patience=30  # seconds for the nodes to come up
readonly cluster_programs=(munged slurmctld slurmd sbatch scontrol squeue scancel sinfo)
cluster=""

# What is missing of the programs, one a line.
missing_programs() {
  local name
  for name in "${cluster_programs[@]}"; do
    command -v "$name" >/dev/null || echo "$name"
  done
}

# cred_expire keeps a requeued job from waiting two minutes; many other settings shorten what a real cluster takes its
# time for. MaxArraySize makes ten cells two arrays. Of two nodes, the lighter one is taken first. Jobs of the partition
# urgent put those of the other back into the queue.
write_configuration() {
  local ports index name user
  read -ra ports < <(free_ports 3)
  user=$(id -un)
  cat >"$cluster/slurm.conf" <<CONF
ClusterName=collapse
SlurmctldHost=$(hostname -s)(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket,cred_expire=5
SlurmUser=$user
SlurmdUser=$user
SlurmctldPort=${ports[0]}
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdPidFile=$cluster/%n.pid
SlurmdLogFile=$cluster/%n.log
SlurmdSpoolDir=$cluster/spool-%n
StateSaveLocation=$cluster/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0,requeue_delay=1
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=5
ReturnToService=2
MaxArraySize=8
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
CONF
  for index in "${!cluster_nodes[@]}"; do
    name=${cluster_nodes[index]}
    printf 'NodeName=%s NodeHostname=localhost NodeAddr=127.0.0.1 Port=%s CPUs=4 RealMemory=4000 ' \
      "$name" "${ports[index + 1]}" >>"$cluster/slurm.conf"
    printf 'Gres=gpu:2 Feature=only-%s Weight=%s\n' "$name" $((index + 1)) >>"$cluster/slurm.conf"
    printf 'NodeName=%s Name=gpu File=%s\n' "$name" "$(gpu_files)" >>"$cluster/gres.conf"
  done
  local nodes
  nodes=$(IFS=,; echo "${cluster_nodes[*]}")
  cat >>"$cluster/slurm.conf" <<CONF
PartitionName=main Nodes=$nodes Default=YES State=UP PriorityTier=1
PartitionName=urgent Nodes=$nodes State=UP PriorityTier=2 PreemptMode=OFF
CONF
}

# Only root may make devices; others take two that every system has.
gpu_files() {
  if [[ -c $cluster/gpu0 || $(id -u) == 0 ]]; then echo "$cluster/gpu[0-1]"; else echo /dev/null,/dev/zero; fi
}

start_cluster() {
  cluster=$1
  # In the surroundings of every process that is started from here on, jobs too: so they are found again.
  export COLLAPSE_CLUSTER=$cluster SLURM_CONF=$cluster/slurm.conf
  mkdir -p "$cluster/munge" "$cluster/state"
  # munged wants its socket to be reachable by all, and nobody else able to replace it.
  chmod 755 "$(dirname "$cluster")" "$cluster" "$cluster/munge"
  if [[ $(id -u) == 0 ]]; then
    mknod "$cluster/gpu0" c 1 3
    mknod "$cluster/gpu1" c 1 3
  fi
  write_configuration
  (umask 077 && head -c 128 /dev/urandom >"$cluster/munge/key")
  munged --socket="$cluster/munge/socket" --key-file="$cluster/munge/key" --pid-file="$cluster/munge/pid" \
    --log-file="$cluster/munge/log" --seed-file="$cluster/munge/seed" || return 1
  slurmctld >/dev/null 2>&1 || return 1
  local name
  for name in "${cluster_nodes[@]}"; do slurmd -N "$name" >/dev/null 2>&1 || return 1; done
  local end=$((SECONDS + cluster_patience))
  until [[ $(sinfo --noheader --partition=main --Node --format=%T 2>/dev/null | grep -c '^idle$') == "${#cluster_nodes[@]}" ]]; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# processes FILE VARIABLE=VALUE...: those of the cluster that have such a file open, or that have been told such a
# variable. Daemons that show a title have written it over their variables; jobs have no file of the cluster open.
processes() {
  local number
  # Or what looks for them would find itself.
  local -x COLLAPSE_CLUSTER=
  {
    find /proc/[0-9]*/fd -maxdepth 1 -lname "$cluster/$1" 2>/dev/null || true
    grep -lzFx "$(printf '%s\n' "${@:2}")" /proc/[0-9]*/environ 2>/dev/null |
      xargs --no-run-if-empty grep -lzFx "COLLAPSE_CLUSTER=$cluster" 2>/dev/null || true
  } | cut -d / -f 3 | sort -un | while read -r number; do
    # A shell that this one has forked has only the variables of its start, and this one too.
    [[ $number == "$$" ]] || echo "$number"
  done
}

cluster_processes() { processes '*' "COLLAPSE_CLUSTER=$cluster"; }

# end SIGNAL COMMAND...: sends it to all that the command names, and waits a little until it names none
end() {
  local numbers
  mapfile -t numbers < <("${@:2}")
  ((${#numbers[@]} == 0)) || kill -s "$1" "${numbers[@]}" 2>/dev/null || true
  for _ in {1..20}; do
    [[ -n $("${@:2}") ]] || return 0
    sleep 0.1
  done
  return 1
}

kill_node() {
  # One after another, the first to go would leave others the time to say so.
  local numbers
  mapfile -t numbers < <(processes "$1.log" "SLURMD_NODENAME=$1")
  kill -STOP "${numbers[@]}" 2>/dev/null || true
  end KILL processes "$1.log" "SLURMD_NODENAME=$1"
}

stop_cluster() {
  [[ -n $cluster ]] || return 0
  local signal
  # A daemon may just be starting another process.
  for signal in TERM TERM KILL KILL KILL; do
    ! end "$signal" cluster_processes || return 0
  done
  return 1
}
