# The runs that ./run.sh diagram draws, which sources this: real processes and a real Redis, in a folder
# and at ports of their own.
# shellcheck shell=bash

trace_of() { echo "$DATA/$1.jsonl"; }

# Nothing is repeated while it is on a slow link, and nobody is in a hurry to finish others' rounds.
start_traced() {
    SERVER_FLAGS="--allow-fault-injection --repeat 4s --heartbeat 100ms --trace $(trace_of "$1")" start_server "$1"
    await "$1" answers "$1"
}

tell() { bank_client "$1" -c "$2"; }

hear_each_other() {
    local id heard
    for id in $SERVERS; do
        heard=$(quick_status "$id" | grep -o '"connected":true' | wc -l)
        [ "$heard" -eq 2 ] || return 1
    done
}

# slow TIME ID…: what these servers send takes so long: enough to do something between two steps of a run.
slow() {
    local id peer
    for id in "${@:2}"; do
        for peer in $SERVERS; do
            [ "$id" = "$peer" ] || tell "$id" "link delay $peer $1" >/dev/null
        done
    done
}

# noted ID TEXT: whether that server has noted this down.
noted() { grep -q "$2" "$(trace_of "$1")"; }

holds() { noted "$1" "\"event\":\"appended\",\"height\":$2,"; }
all_hold() { holds A "$1" && holds B "$1" && holds C "$1"; }

has_accepted() { noted "$1" "\"event\":\"accepted\",\"height\":$2,"; }
prepared() { noted "$1" "\"kind\":\"prepare\",\"height\":1,\"ballot\":\"$2\""; }
both_have_accepted() { has_accepted B "$1" && has_accepted C "$1"; }

# Two servers need money at the same moment: the one whose ballot is lower loses its run. Fails if this
# machine was so busy that it was not the same moment.
competing() {
    slow 400ms A B
    tell A "transfer C 120" &
    tell B "transfer C 120"
    wait $!
    wait_until 20 all_hold 1 || die "no block came of it"
    # Who has heard of the other's run begins a later round.
    prepared A 1.A && prepared B 1.B || return 1
    noted A '"kind":"nack","height":1,"ballot":"1.A"' || return 1
    # What was answered to the loser is on its way yet.
    sleep 0.5
}

# A's block is accepted by B and C, and A is killed before it can say that it is chosen. Fails if this
# machine was so busy that A could.
leader_dies() {
    slow 450ms A B C
    # While the first slow heartbeats are under way nobody is heard.
    sleep 1
    wait_until 20 hear_each_other || die "the servers don't hear each other"
    # Its client doesn't come back.
    bank_client A --timeout 1s --give-up-after 1s -c "transfer B 120" >/dev/null 2>&1 &
    wait_until 20 both_have_accepted 1 || die "A's block was not accepted"
    end A KILL
    ! holds A 1 || return 1
    for id in B C; do tell "$id" "link heal" >/dev/null; done
    wait_until 20 holds B 1 || die "nobody finished A's round"
    wait_until 20 holds C 1 || die "C did not hear of it"
    start_traced A
    wait_until 20 holds A 1 || die "A did not catch up"
}

# Three servers whose logs hold two transfers, by which A and B have 140 each, if they only knew.
begin() {
    local id
    build
    choose_ports
    # shellcheck disable=SC2046  # several words
    start_redis $(all_redis)
    for id in $SERVERS; do start_traced "$id"; done
    for id in $SERVERS; do await "$id" is_open "$id"; done
    wait_until 20 hear_each_other || die "the servers don't hear each other"
    tell C "transfer A 40"
    tell C "transfer B 40"
}

# However it ends, nothing is left behind.
diagram_end() {
    local status=$?
    trap '' INT TERM HUP
    (down) || status=1
    rm -rf "$DATA"
    exit $status
}

diagram() {
    local run=${1:-} output=${2:-} attempt
    case $run in
        competing | leader-dies) ;;
        *) say "diagram competing or diagram leader-dies, and perhaps a file for the SVG" >&2; exit 2 ;;
    esac
    output=${output:-$ROOT/doc/$run.svg}
    case $output in /*) ;; *) output=$CALLED_FROM/$output ;; esac
    use_folder "$(mktemp -d "${TMPDIR:-/tmp}/paxos-banking-diagram.XXXXXX")"
    trap diagram_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # Two that run at the same moment must not draw the same ports, as they may by chance.
    REDIS_PORT_USUALLY=$((20000 + $$ * 12 % 6000))
    BASE_PORT_USUALLY=$((26000 + $$ * 12 % 6000))
    REDIS_PORT="" BASE_PORT=""
    for attempt in 1 2 3 4 5; do
        begin
        ! "${run//-/_}" || break
        say "too slow, attempt $attempt: this machine is busy"
        (down)
        rm -rf "${DATA:?}"/*
        [ "$attempt" -lt 5 ] || die "it didn't come to what is to be drawn"
    done
    "$(recall binary)" diagram "$DATA"/?.jsonl --height 1 --output "$output"
    say "the diagram is in $output"
}
