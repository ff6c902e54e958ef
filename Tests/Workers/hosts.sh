# shellcheck shell=bash
# Hosts played by network namespaces; sourced by `run`.
#
# They are joined by pairs of virtual interfaces and a bridge, or by wire.py, which is slow and loses packets.

readonly bridge=cw$$
readonly hosts=("$bridge-a" "$bridge-b")
readonly first_address=10.77.0.1
hosts_are_there=no

# can_have_hosts: says what is missing if not
can_have_hosts() {
  local missing=""
  command -v ip >/dev/null || missing="iproute2"
  [[ $(id -u) == 0 ]] || missing="root"
  [[ -n $missing ]] || ip netns add "$bridge-try" 2>>"$details" || missing="a kernel that lets root make namespaces"
  [[ -n $missing ]] || ip netns delete "$bridge-try"
  [[ -z $missing ]] || { say "  skipped: that needs $missing" && return 1; }
}

make_hosts() {
  local host
  hosts_are_there=yes
  for host in "${hosts[@]}"; do
    ip netns add "$host"
    ip -n "$host" link set lo up
  done
}

join_by_bridge() {
  local index side=0
  ip link add "$bridge" type bridge
  ip link set "$bridge" up
  for index in 0 1; do
    side=$bridge-$index
    ip link add "$side" type veth peer name eth0 netns "${hosts[index]}"
    ip link set "$side" master "$bridge" up
    ip -n "${hosts[index]}" address add "10.77.0.$((index + 1))/24" dev eth0
    ip -n "${hosts[index]}" link set eth0 up
  done
}

# join_by_wire MILLISECONDS LOSS
join_by_wire() {
  begin wire python3 "$source_directory/wire.py" "${hosts[0]}" "$first_address/24" "${hosts[1]}" 10.77.0.2/24 "$@"
  within 10 grep -q ready "$work/wire.log"
}

take_hosts_away() {
  [[ $hosts_are_there == yes ]] || return 0
  local host
  for host in "${hosts[@]}"; do ip netns delete "$host" 2>/dev/null || true; done
  ip link delete "$bridge" 2>/dev/null || true
  hosts_are_there=no
}

# begin_worker_at HOST NAME RANK SIZE: by hand, two hosts having as many workers each; the command is in `command`
begin_worker_at() {
  local each=$(($4 / 2))
  address=$first_address local_size=$each local_rank=$(($3 % each)) \
    begin_worker "$2" "$3" "$4" ip netns exec "${hosts[$1]}" "${command[@]}"
}

check_hosts() {
  can_have_hosts || return 0
  make_hosts
  join_by_bridge
  local rank port=29500
  train hosts
  for rank in 0 1 2 3; do begin_worker_at $((rank / 2)) hosts "$rank" 4; done
  for rank in 0 1 2 3; do expect "worker $rank on two hosts" ends "hosts.$rank" 0; done
  expect "gives the bits of one" equal short hosts
  # The name of this host leads nowhere there: so torchrun is told addresses, and who has the store.
  train rendezvous
  for rank in 0 1; do
    begin "rendezvous.$rank" ip netns exec "${hosts[rank]}" "$torchrun" --no-python --nnodes 2 --nproc-per-node 1 \
      --rdzv-backend c10d --rdzv-endpoint "$first_address:29501" --rdzv-id any --rdzv-conf "is_host=$((1 - rank))" \
      --local-addr "10.77.0.$((rank + 1))" "${command[@]}"
  done
  for rank in 0 1; do expect "torchrun on host $rank" ends "rendezvous.$rank" 0; done
  expect "gives the bits of one" equal short rendezvous
  train cut "$endless" engine.timeout_minutes=0.2
  for rank in 0 1; do begin_worker_at "$rank" cut "$rank" 2; done
  expect "two hosts train" is_training cut.0 cut
  ip link set "$bridge-1" down
  for rank in 0 1; do
    expect "when their link is cut, worker $rank ends within a fifth of a minute" fails "cut.$rank" 30
    expect "and says why" says "cut.$rank" "worker.*(is gone or does not answer|has said nothing)"
  done
  take_hosts_away
}

check_slow() {
  new_port
  begin_pair uneven epochs=80
  expect "two workers train" is_training uneven.0 uneven
  hinder uneven.1 1 &
  expect "when rank 1 stands still for half of the time, rank 0 waits for it" ends uneven.0 0 120
  expect "and both end" ends uneven.1 0
  expect "with the bits of one" equal long uneven
  check_wire
}

# hinder NAME RANK: lets its process run for half of the time only, as long as it is there
hinder() {
  local number
  number=$(processes "$@" collapse-worker | head -n 1)
  while kill -STOP "$number" 2>/dev/null; do
    sleep 0.1
    kill -CONT "$number" 2>/dev/null || return 0
    sleep 0.1
  done
}

check_wire() {
  can_have_hosts || return 0
  [[ -c /dev/net/tun ]] || { say "  skipped: that needs /dev/net/tun" && return 0; }
  make_hosts
  expect "hosts are joined by a wire of 5 ms that loses one packet in a hundred" join_by_wire 5 0.01
  local rank port=29500
  alone three epochs=3
  train slow epochs=3
  for rank in 0 1; do begin_worker_at "$rank" slow "$rank" 2; done
  for rank in 0 1; do expect "worker $rank across it" ends "slow.$rank" 0; done
  expect "gives the bits of one" equal three slow
  kill "${started[wire]}"
  take_hosts_away
}
