#!/usr/bin/env bash
#
# PAXOS-Banking from one command.
#
#   ./run.sh                    everything up: three servers with a Redis each, and a client of each, in terminals
#   ./run.sh demo               plays and checks a scenario in a folder and with ports of its own
#   ./run.sh play FILE [ARG…]   the same for a scenario file: tests/scenarios has some; play --help says more
#   ./run.sh diagram RUN [FILE] has servers run and draws who told whom what: a scenario file, competing (two proposers)
#                               or leader-dies (after its block is accepted); into FILE, an SVG
#   ./run.sh add [--branch]     one server more, by the next letter, which the bank admits; as a branch, without a vote
#   ./run.sh remove ID          has the bank dismiss that server, which has to have paid all out; its data stay
#   ./run.sh start ID           starts server A, B or C (again), or one that was added
#   ./run.sh kill ID            kills it as a power cut would (SIGKILL); kill redis-ID the Redis with its store
#   ./run.sh client ID [ARG…]   a client of that server; the rest is for it: balance, transfer B 30, or flags
#   ./run.sh log ID             follows that server's log; log redis-ID that of its Redis
#   ./run.sh web [ARG…]         a page that shows the bank live in a browser; web --help (--allow-orders: it may pay, too)
#   ./run.sh status             what runs where, and how it is
#   ./run.sh audit [ARG…]       verifies what the servers have stored, also when none runs; audit --help
#   ./run.sh down               ends everything that it started; the bank's data stay
#   ./run.sh clean              the same, and forgets the data, and which bank they were of
#   ./run.sh test [ARG…]        runs all tests; the rest is for cargo test
#   ./run.sh help               shows this
#
# Who works on the program itself finds bench, python, ledger, simulate, chaos, fuzz and stores in ./dev.sh; ./run.sh passes
# these on to it.
#
# Environment: SERVERS=5 founds a bank of five servers, A to E, instead of three; ISSUING=yes founds one that issues money (the
# client's mint and burn), and is known from then on; REDIS_PORT and BASE_PORT (those
# of server A; the others have the next ones) fix ports that are chosen otherwise; TERMINALS=tmux, windows or none chooses how clients are shown;
# TRACE=1 has the servers note down the protocol in files, which TRACE=1 ./run.sh web reads from their beginning on; SERVER_FLAGS holds more flags for the servers, which obey link (faults of links, from the prompt) anyway; PAXOS_BANKING_BIN names a program to use instead of building one.

set -euo pipefail

readonly LETTERS="A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"
# How many servers a new bank is to have. In this script SERVERS is who they are, which is no business of others'.
FOUNDERS=${SERVERS:-}
export -n SERVERS
# Whether it is to issue money.
ISSUES=${ISSUING:-}
REDIS_PORT_USUALLY=6379
BASE_PORT_USUALLY=8001

# For the servers, where the C library is glibc: what they free is kept for what comes next (under load
# they would ask the system for the same memory over and over), and large tables are on huge pages.
TUNABLES=glibc.malloc.trim_threshold=134217728:glibc.malloc.mmap_threshold=33554432
readonly TUNABLES=${GLIBC_TUNABLES:-$TUNABLES:glibc.malloc.hugetlb=1}

case ${PAXOS_BANKING_BIN:-/} in /*) ;; *) PAXOS_BANKING_BIN=$PWD/$PAXOS_BANKING_BIN ;; esac
readonly CALLED_FROM=$PWD
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly ROOT
cd "$ROOT"

say() { printf '%s\n' "${0##*/}: $*"; }
die() { say "$@" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
# explain SCRIPT: prints the comment at its beginning.
explain() { awk 'NR > 2 { if (!sub(/^# ?/, "")) exit; print }' "$1"; }

# ── What runs where: one file ────────────────────────────────────────────────────────────────────
# One `KEY VALUE` a line, and the last one counts: adding a line is atomic, so several run.sh at
# once (one for each terminal, say) don't destroy each other's news.

use_folder() {
    DATA=$1
    STATE=$DATA/run.state
    BANK=$DATA/bank
    MEMBERS=$DATA/servers
    know_servers
    know_issuing
}

# ── Who they are: a file that outlives down ──────────────────────────────────────────────────────
# `founded A B C`, perhaps `issuing yes`, then `added D PORT [--branch]` and `removed A`, a line each, in the order in which
# it happened.
# From the first addition on the ports stay, since the chain tells where servers are found: `base 8001`.

# Leaves the letters of the servers that founded the bank in $FOUNDED, and of those that are there in $SERVERS.
know_servers() {
    case $FOUNDERS in
        "" | [1-9]) ;;
        *) say "SERVERS=$FOUNDERS: a bank is founded with 1 to 9 servers; ./run.sh add adds more" >&2; exit 2 ;;
    esac
    FOUNDED=$(words_of founded)
    if [ -z "$FOUNDED" ]; then
        # A bank of before this file has three.
        [ -n "$(ls -d "$DATA"/redis* 2>/dev/null)" ] || FOUNDED=$(echo "$LETTERS" | cut -d ' ' -f "1-${FOUNDERS:-3}")
        FOUNDED=${FOUNDED:-A B C}
    fi
    [ -z "$FOUNDERS" ] || [ "$FOUNDERS" = "$(wc -w <<<"$FOUNDED" | tr -d ' ')" ] ||
        die "SERVERS=$FOUNDERS, but this bank was founded with $FOUNDED: ./run.sh add adds a server," \
            "./run.sh clean forgets the bank"
    SERVERS=$(
        { echo "founded $FOUNDED"; grep -v '^founded' "$MEMBERS" 2>/dev/null || true; } | awk '
            $1 == "founded" { for (i = 2; i <= NF; i++) { order[n++] = $i; there[$i] = 1 } }
            $1 == "added" { order[n++] = $2; there[$2] = 1 }
            $1 == "removed" { delete there[$2] }
            END { for (i = 0; i < n; i++) if (order[i] in there) print order[i] }' | tr '\n' ' '
    )
    SERVERS=${SERVERS% }
}

# Checks what ISSUING asks for, and leaves the flag of a bank that issues money in $ISSUING_FLAG.
know_issuing() {
    case $ISSUES in
        "" | yes | no) ;;
        *) say "ISSUING=$ISSUES: yes founds a bank that issues money, no one that doesn't" >&2; exit 2 ;;
    esac
    local issues=${ISSUES:-no}
    if [ -n "$(words_of founded)" ]; then
        issues=$(words_of issuing)
        issues=${issues:-no}
        [ "${ISSUES:-$issues}" = "$issues" ] ||
            die "ISSUING=$ISSUES, but what a bank was founded to be stays so for ever: ./run.sh clean forgets the bank"
    fi
    ISSUING_FLAG=$([ "$issues" = no ] || echo --issuing)
}

# words_of KEY: what follows it in its line of the file.
words_of() { [ ! -f "$MEMBERS" ] || sed -n "s/^$1 //p" "$MEMBERS"; }

note_servers() { mkdir -p "$DATA"; printf '%s\n' "$*" >>"$MEMBERS"; know_servers; }

# place_of ID: A is 0.
place_of() { echo $(($(tr -d ' ' <<<"$LETTERS" | sed "s/$1.*//" | tr -d '\n' | wc -c))); }

was_added() { [ -n "$(words_of "added $1")" ]; }

# port_of ID: where that server listens.
port_of() {
    if was_added "$1"; then words_of "added $1" | cut -d ' ' -f 1; return; fi
    echo $(($(recall base-port) + $(place_of "$1")))
}

remember() { mkdir -p "$DATA/logs"; printf '%s %s\n' "$1" "$2" >>"$STATE"; }

recall() {
    [ ! -f "$STATE" ] ||
        awk -v key="$1" '$1 == key { sub(/^[^ ]* /, ""); value = $0 } END { print value }' "$STATE"
}

# ── Processes ────────────────────────────────────────────────────────────────────────────────────

# When a process began, by which one of ours is told from a later one with the same number; nothing
# if it is gone, or only a zombie's remains.
birth_of() {
    if [ -r "/proc/$1/stat" ]; then
        # The second field, a name in parentheses, may hold spaces; so fields count from the third.
        { sed 's/.*) //' "/proc/$1/stat" | awk '$1 !~ /[ZX]/ { print $20 }'; } 2>/dev/null || true
    elif [ ! -d /proc/self ]; then
        { ps -o stat= -o lstart= -p "$1" | awk '$1 !~ /Z/ { $1 = ""; print }' | tr -d ' '; } || true
    fi
}

own() { remember "pid-$1" "$2 $(birth_of "$2")"; }

pid_of() { recall "pid-$1" | cut -d ' ' -f 1; }

alive() {
    local pid birth
    read -r pid birth <<<"$(recall "pid-$1")"
    [ -n "$birth" ] && [ "$(birth_of "$pid")" = "$birth" ]
}

gone() { ! alive "$1"; }

any_alive() {
    local name
    for name in "$@"; do alive "$name" && return; done
    return 1
}

any_server_alive() {
    # shellcheck disable=SC2086  # several words
    any_alive $SERVERS
}

# launch NAME COMMAND…: in the background, for longer than this script lives.
launch() {
    # In a process group of its own, since Ctrl-C in this terminal is not meant for it.
    set -m
    nohup "${@:2}" >>"$DATA/logs/$1.log" 2>&1 </dev/null &
    set +m
    own "$1" $!
    disown $!
}

# wait_until SECONDS COMMAND…: polls, and fails if it never succeeds.
wait_until() {
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# await NAME COMMAND…: until it succeeds, which is what the process NAME was started for.
await() {
    local name=$1
    ready_or_gone() { "$@" || gone "$name"; }
    if ! wait_until 60 ready_or_gone "${@:2}" || gone "$name"; then
        tail -n 15 "$DATA/logs/$name.log" >&2
        ! tail -n 1 "$DATA/logs/$name.log" | grep -q -e --rejoin ||
            say "if the others hold the bank, SERVER_FLAGS=--rejoin ./run.sh start $name lets $name rejoin; doc/OPERATING.md" \
                "tells what is lost then. ./run.sh clean forgets the bank" >&2
        die "$name does not work; above is the end of $DATA/logs/$name.log"
    fi
}

# end NAME SIGNAL: and returns when it is gone.
end() {
    alive "$1" || return 0
    kill "-$2" "$(pid_of "$1")" 2>/dev/null || true
    wait_until 10 gone "$1" || kill -KILL "$(pid_of "$1")" 2>/dev/null || true
    wait_until 10 gone "$1" || die "process $(pid_of "$1") ($1) can't be ended"
}

# ── Ports ────────────────────────────────────────────────────────────────────────────────────────

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_ports FIRST COUNT VARIABLE: prints the first of COUNT free ports in a row, from FIRST on, or
# exactly there if the user has fixed it by VARIABLE.
free_ports() {
    local first=$1 port
    case $first in
        *[!0-9]* | ??????*) die "$3=$first: a port is a number from 1 to 65000" ;;
    esac
    while [ "$first" -le 65000 ]; do
        for ((port = first; port < first + $2; port++)); do
            ! taken $port || break
        done
        [ "$port" -lt $((first + $2)) ] || { echo "$first"; return; }
        [ -z "${!3:-}" ] || die "$3=${!3}, but port $port is taken by another program: end that one," \
            "choose another $3, or leave $3 unset to have the next free port taken."
        first=$((first + $2))
    done
    die "no $2 free ports from $1 on"
}

# keep_port KEY VARIABLE: what runs stays where it is, whatever VARIABLE asks for.
keep_port() {
    local port
    port=$(recall "$1")
    [ -z "${!2:-}" ] || [ "${!2}" = "$port" ] ||
        die "$2=${!2}, but what already runs uses $port: ./run.sh down ends it."
}

# ── Starting ─────────────────────────────────────────────────────────────────────────────────────

# Valkey is what some systems now install in Redis's place; it is as good.
redis_program() { command -v "redis-$1" || command -v "valkey-$1"; }

target_folder() {
    cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# Leaves the program's path in $binary.
make_binary() {
    binary=${PAXOS_BANKING_BIN:-}
    if [ -z "$binary" ]; then
        have cargo || die "cargo is missing: Rust is to be had from https://rustup.rs"
        say "building: cargo build --release --locked"
        cargo build --release --locked
        binary=$(target_folder)/release/paxos-banking
    fi
    [ -x "$binary" ] || die "$binary is not a program"
}

build() {
    local binary
    make_binary
    remember binary "$binary"
}

# A Redis for each server: a disk that is lost is then one server's. A bank of before that has one for
# all, and keeps it.
shared_redis() { [ -n "$(ls -A "$DATA/redis" 2>/dev/null)" ]; }

# redis_of ID: how the Redis with that server's store is called here, and its folder.
redis_of() { if shared_redis; then echo redis; else echo "redis-$1"; fi; }

all_redis() {
    local id
    if shared_redis; then echo redis; return; fi
    for id in $SERVERS; do redis_of "$id"; done
}

# redis_port NAME
redis_port() {
    local port
    port=$(recall "port-$1")
    # The first of a bank, or the only one.
    [ -n "$port" ] || [ "$1" = redis ] || port=$(($(recall redis-port) + $(place_of "${1#redis-}")))
    echo "${port:-$(recall redis-port)}"
}

redis_url() { echo "redis://127.0.0.1:$(redis_port "$(redis_of "$1")")"; }

# That something answers at the port is not enough: it has to be ours, and to have read its file.
redis_is_ready() {
    local info
    info=$("$(redis_program cli)" -h 127.0.0.1 -p "$(redis_port "$1")" INFO 2>/dev/null | tr -d '\r') &&
        grep -qx "process_id:$(pid_of "$1")" <<<"$info" && grep -qx loading:0 <<<"$info"
}

# Redis 6 takes no notice of what Redis 7 wrote, and begins with an empty store, without a word.
refuse_downgrade() {
    local version
    version=$("$(redis_program server)" --version | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
    [ ! -f "$1/appendonlydir/appendonly.aof.manifest" ] || [ "${version:-7}" -ge 7 ] ||
        die "$1 was written by Redis 7 or later, and this is Redis $version, which would take it for empty:" \
            "nothing is started; install Redis 7 or later"
}

# mend_redis NAME: cuts off what a power cut left half written, and nothing else. Redis is told not to start
# with such a file.
mend_redis() {
    local folder=$DATA/$1
    [ -d "$folder" ] || return 0
    refuse_downgrade "$folder"
    "$(recall binary)" mend --yes "$folder" >"$DATA/logs/mend.log" ||
        die "nothing is started; what else is in $folder is told by $DATA/logs/mend.log"
}

choose_redis_ports() {
    # shellcheck disable=SC2046  # several words
    if any_server_alive || any_alive $(all_redis); then
        # These know it at one port only.
        keep_port redis-port REDIS_PORT
        return
    fi
    local wanted=${REDIS_PORT:-$REDIS_PORT_USUALLY} count port
    count=$(($(place_of "${SERVERS##* }") + 1))
    ! shared_redis || count=1
    port=$(free_ports "$wanted" "$count" REDIS_PORT)
    [ "$port" = "$wanted" ] ||
        say "of the ports from $wanted to $((wanted + count - 1)) one is taken, by a Redis that isn't ours perhaps;" \
            "that one is left alone, and ours begin at port $port"
    remember redis-port "$port"
}

launch_redis() {
    mkdir -p "$DATA/$1"
    launch "$1" "$(redis_program server)" ./redis.conf --port "$(redis_port "$1")" --dir "$DATA/$1"
    await "$1" redis_is_ready "$1"
    say "$1 is at 127.0.0.1:$(redis_port "$1"), its data in $DATA/$1"
}

# start_redis NAME…: none of them, if what one has written is damaged.
start_redis() {
    local name
    .ci/install-redis
    choose_redis_ports
    ! shared_redis || any_alive redis ||
        say "this bank was founded with one Redis for all servers, and keeps it"
    # redis.conf names this folder, though an option names another.
    mkdir -p data
    for name in "$@"; do alive "$name" || mend_redis "$name"; done
    for name in "$@"; do alive "$name" || launch_redis "$name"; done
}

choose_ports() {
    if any_server_alive; then keep_port base-port BASE_PORT; return; fi
    local wanted=${BASE_PORT:-$BASE_PORT_USUALLY} base id
    base=$(words_of base)
    if [ -n "$base" ]; then
        remember base-port "$base"
        for id in $SERVERS; do
            ! taken "$(port_of "$id")" || die "port $(port_of "$id"), where the others find $id, is taken by another program:" \
                "end that one"
        done
        return
    fi
    base=$(free_ports "$wanted" "$(wc -w <<<"$FOUNDED")" BASE_PORT)
    [ "$base" = "$wanted" ] || say "ports from $wanted on are taken; the servers take those from $base on"
    remember base-port "$base"
}

# cluster ID…: where these are.
cluster() {
    local id cluster=""
    for id in "$@"; do cluster=$cluster,$id=127.0.0.1:$(port_of "$id"); done
    echo "${cluster#,}"
}

# others_than ID: at most nine, which is enough to begin at.
others_than() { tr ' ' '\n' <<<"$SERVERS" | grep -vx "$1" | head -n 9; }

bank_client() { "$(recall binary)" client --id "$1" --connect "127.0.0.1:$(port_of "$1")" "${@:2}"; }

quick_status() { bank_client "$1" --timeout 500ms --give-up-after 1s --json -c status 2>/dev/null; }
answers() { quick_status "$1" >/dev/null; }
is_open() { quick_status "$1" | grep -q '"active":true'; }

# Which bank this is outlives down, so that stores that were lost, or are not the bank's, can't be taken for new
# ones: servers that know the hash of block 0 found nothing.
remember_bank() {
    local hash
    hash=$(quick_status "$1" | sed -n 's/.*"active":true.*"bank":"\([0-9a-f]*\)".*/\1/p')
    [ -z "$hash" ] || [ -f "$BANK" ] || echo "$hash" >"$BANK"
}

# Old blocks go there; Redis keeps the newest ones.
archive_of() { echo "$DATA/archive-$1"; }

bank_flag() { [ ! -f "$BANK" ] || echo "--bank $(cat "$BANK")"; }

# where_to_begin ID: who founded the bank is told of all who did; who was added, of the others.
where_to_begin() {
    # shellcheck disable=SC2046,SC2086  # several words
    if was_added "$1"; then
        echo "--join $(cluster $(others_than "$1")) --listen 127.0.0.1:$(port_of "$1")"
    else
        echo "--cluster $(cluster $FOUNDED) $ISSUING_FLAG"
    fi
}

# http_flag ID: where it serves figures and health; a port that is the bank's own at each start anew.
http_flag() {
    local port
    case " ${SERVER_FLAGS:-}" in *" --http"*) return ;; esac
    # A lean program has no such flag.
    "$(recall binary)" server --help | grep -q -- --http || return 0
    port=$(free_ports $(($(recall base-port) + 100 + $(place_of "$1"))) 1 NO_VARIABLE)
    remember "http-port-$1" "$port"
    echo "--http 127.0.0.1:$port"
}

start_server() {
    local archive=(--archive "$(archive_of "$1")") faults=(--allow-fault-injection)
    if alive "$1"; then say "server $1 runs already"; return; fi
    case " ${SERVER_FLAGS:-}" in *" --archive"*) archive=() ;; esac
    # Links may be broken by whoever is on this machine, but by nobody else.
    case " ${SERVER_FLAGS:-}" in *" --allow-fault-injection"* | *" --listen"*) faults=() ;; esac
    if [ -n "${TRACE:-}" ]; then mkdir -p "$DATA/traces"; faults+=(--trace "$DATA/traces/$1.jsonl"); fi
    # shellcheck disable=SC2046,SC2086  # several words
    launch "$1" env "GLIBC_TUNABLES=$TUNABLES" "$(recall binary)" server --id "$1" $(where_to_begin "$1") \
        --redis "$(redis_url "$1")" ${archive[@]+"${archive[@]}"} ${faults[@]+"${faults[@]}"} $(bank_flag) $(http_flag "$1") ${SERVER_FLAGS:-}
}

start_everything() {
    local id
    build
    choose_ports
    # shellcheck disable=SC2046  # several words
    start_redis $(all_redis)
    for id in $SERVERS; do start_server "$id"; done
    for id in $SERVERS; do
        # An addition may have been cut short.
        ! was_added "$id" || is_member "$id" || order_admission "$id"
        await "$id" is_open "$id"
    done
    remember_bank "${SERVERS%% *}"
    # In one piece, since a start may be cut short.
    [ -f "$MEMBERS" ] || note_servers "founded $FOUNDED${ISSUING_FLAG:+$'\n'issuing yes}"
    # shellcheck disable=SC2086  # several words
    say "servers run at $(cluster $SERVERS), their logs are in $DATA/logs"
}

# ── Members that come and go ─────────────────────────────────────────────────────────────────────

# another_than ID: a server that runs and can be asked about that one.
another_than() {
    local id
    for id in $(others_than "$1"); do
        ! alive "$id" || ! is_open "$id" || { echo "$id"; return; }
    done
    die "no other server is open that could be asked; ./run.sh starts all"
}

# is_member ID: by the word of another server.
is_member() {
    bank_client "$(another_than "$1")" --json -c members | grep -q "\"server\":\"$1\",\"instance\":\"[0-9a-f]*\",\"address\""
}

# Who was admitted opens its account as soon as it takes part.
has_account() { bank_client "$1" --timeout 500ms --give-up-after 1s -c balance >/dev/null 2>&1; }

# order_admission ID: and shows the answer.
order_admission() {
    local port branch
    read -r port branch <<<"$(words_of "added $1")"
    bank_client "$(another_than "$1")" -c "admit $1 127.0.0.1:$port $branch"
}

add() {
    local id port redis branch=${1:-}
    case $branch in "" | --branch) ;; *) say "add, or add --branch, for a member without a vote; not $branch" >&2; exit 2 ;; esac
    [ -n "$(recall base-port)" ] || die "nothing runs; ./run.sh starts it"
    # A removed server's data stay, so its letter is not given again.
    id=$(echo "$LETTERS" | tr ' ' '\n' | tail -n +$(($(place_of "$(last_ever)") + 2)) | head -n 1)
    [ -n "$id" ] || die "there is no letter left"
    port=$(free_ports $(($(recall base-port) + $(place_of "$id"))) 1 NO_VARIABLE)
    redis=$(free_ports $(($(recall redis-port) + $(place_of "$id"))) 1 NO_VARIABLE)
    [ "$redis" != "$port" ] || redis=$(free_ports $((port + 1)) 1 NO_VARIABLE)
    remember "port-redis-$id" "$redis"
    [ -n "$(words_of base)" ] || note_servers base "$(recall base-port)"
    note_servers added "$id" "$port" "$branch"
    start_redis "$(redis_of "$id")"
    start_server "$id"
    await "$id" answers "$id"
    if ! order_admission "$id"; then
        end "$id" TERM
        end "redis-$id" TERM
        rm -rf "${DATA:?}/redis-$id" "$(archive_of "$id")"
        note_servers removed "$id"
        die "$id was not admitted, and is gone again"
    fi
    await "$id" has_account "$id"
    say "server $id is at 127.0.0.1:$port; ./run.sh client $id is its client"
}

# The last letter that was ever given.
last_ever() {
    local all
    all="$FOUNDED $(words_of added | cut -d ' ' -f 1 | tr '\n' ' ')"
    tr ' ' '\n' <<<"$all" | grep . | sort | tail -n 1
}

remove() {
    known_server "$@"
    if is_member "$1"; then
        alive "$1" || die "$1 doesn't run, and only $1 itself can say that nothing is left of it; ./run.sh start $1 starts it"
        bank_client "$1" -c "dismiss $1" ||
            die "$1 is not dismissed. What it holds is paid out by ./run.sh client $1 -c 'transfer TO AMOUNT'"
    fi
    wait_until 60 gone "$1" || die "$1 is dismissed, and waits until the others hold the block that says so"
    shared_redis || end "redis-$1" TERM
    [ -n "$(words_of base)" ] || note_servers base "$(recall base-port)"
    note_servers removed "$1"
    say "server $1 is no member any more; its data stay in $DATA/redis-$1"
}

# ── Terminals ────────────────────────────────────────────────────────────────────────────────────
# Servers run in the background, wherever their logs are shown; so a view can be closed at any time.

window_program() {
    local program
    [ "$(uname)" != Darwin ] || { echo osascript; return; }
    [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || return 1
    for program in x-terminal-emulator gnome-terminal konsole xterm; do
        ! have $program || { echo $program; return; }
    done
    return 1
}

# in_window TITLE COMMAND…
in_window() {
    local title=$1
    shift
    case $(window_program) in
        osascript) osascript -e "tell application \"Terminal\" to do script \"$(printf '%q ' "$@" | sed 's/[\\"]/\\&/g')\"" ;;
        gnome-terminal) gnome-terminal --title="$title" -- "$@" ;;
        konsole) nohup konsole -p tabtitle="$title" -e "$@" & ;;
        *) nohup "$(window_program)" -T "$title" -e "$@" & ;;
    esac >>"$DATA/logs/windows.log" 2>&1 </dev/null
}

# Many programs for windows go on by themselves, and nobody hears if one can't; so each window has to tell that it is there.
open_windows() {
    local id what
    window_program >/dev/null ||
        die "there is no window program here (x-terminal-emulator, gnome-terminal, konsole, xterm), or no display (DISPLAY," \
            "WAYLAND_DISPLAY); TERMINALS=tmux or TERMINALS=none does without"
    for id in $SERVERS; do
        for what in log client; do
            alive "window-$what-$id" || in_window "$what $id" "$ROOT/run.sh" window "$what" "$id" || true
        done
    done
    for id in $SERVERS; do
        for what in log client; do
            wait_until 20 alive "window-$what-$id" ||
                die "$(window_program) opens no window ($DATA/logs/windows.log may tell why);" \
                    "TERMINALS=tmux or TERMINALS=none does without"
        done
    done
}

# pane_of SESSION WHAT: the pane that shows it, and then "ended" if it shows it no more.
pane_of() {
    tmux list-panes -s -t "=$1" -F '#{@shows}|#{pane_id} #{@ended}' 2>/dev/null | sed -n "s/^$2|//p" | head -n 1
}

# show_in_pane SESSION WHAT: unless it is shown. What was ended or closed meanwhile comes back.
show_in_pane() {
    local pane ended command
    command="$(printf %q "$ROOT/run.sh") view $2"
    read -r pane ended <<<"$(pane_of "$1" "$2")"
    if [ -n "$ended" ]; then
        # Here, not only by what begins there: who looks at once sees that it is back.
        tmux set-option -p -t "$pane" @ended ""
        tmux respawn-pane -k -t "$pane" "$command"
        return
    fi
    [ -z "$pane" ] || return 0
    if tmux has-session -t "=$1" 2>/dev/null; then
        # Where there is no room for one more, it is in a window of its own.
        pane=$(tmux split-window -P -F '#{pane_id}' -t "=$1:" "$command" 2>/dev/null ||
            tmux new-window -P -F '#{pane_id}' -t "=$1:" "$command")
    else
        pane=$(tmux new-session -d -P -F '#{pane_id}' -s "$1" -x 200 -y 50 "$command")
    fi
    tmux set-option -p -t "$pane" @shows "$2"
    tmux set-option -w -t "$pane" pane-border-status top
    tmux set-option -w -t "$pane" pane-border-format ' #{@shows}#{?@ended, (ended),} '
    # At once, or the next one finds no room. Six tiles are three rows of two.
    tmux select-layout -t "$pane" tiled
}

open_tmux() {
    local session what id prefix
    session=paxos-banking-$(recall base-port)
    for id in $SERVERS; do
        for what in "log $id" "client $id"; do show_in_pane "$session" "$what"; done
    done >/dev/null
    prefix=$(tmux show-options -gv prefix)
    tmux set-option -t "=$session:" status-right-length 120
    tmux set-option -t "=$session:" status-right \
        "$prefix arrow: another pane | $prefix d: leave; ./run.sh comes back | ./run.sh down: end all"
    remember tmux "$session"
    if [ -n "${TMUX:-}" ]; then what=switch-client; else what=attach; fi
    [ ! -t 1 ] || [ $what = switch-client ] || exec tmux attach -t "=$session"
    say "the servers' logs and clients are in tmux: tmux $what -t $session"
}

open_terminals() {
    local id how=${TERMINALS:-none}
    [ -n "${TERMINALS:-}" ] || ! window_program >/dev/null || how=windows
    [ -n "${TERMINALS:-}" ] || ! have tmux || how=tmux
    say "./run.sh status shows what runs, ./run.sh down ends it"
    case $how in
        tmux) open_tmux ;;
        windows) open_windows ;;
        none)
            id=${SERVERS%% *}
            say "this is client $id; ./run.sh client with another letter, in another terminal, is another server's"
            client "$id" ;;
        *) die "TERMINALS is tmux, windows or none, not $how" ;;
    esac
}

# What a window runs: it puts down its own number, so that down can close it.
window() { own "window-$1-$2" $$; view "$@"; }

# What a pane or window runs: a log or a client, which may be ended and comes back.
view() {
    # Ctrl-C is for what is shown.
    trap : INT
    while true; do
        printf '\033]2;%s\007' "$*"
        mark_pane ""
        (trap - INT; main "$@") || true
        mark_pane 1
        say "$* has ended: Enter brings it back, Ctrl-D closes this (./run.sh opens it again)"
        until read -r _; do [ $? -gt 128 ] || return 0; done
    done
}

# mark_pane ENDED: in tmux.
mark_pane() { [ -z "${TMUX_PANE:-}" ] || tmux set-option -p -t "$TMUX_PANE" @ended "$1" 2>/dev/null || true; }

close_terminals() {
    local name
    for name in $(awk '$1 ~ /^pid-window-/ { print substr($1, 5) }' "$STATE"); do
        # What runs in the window is of its group, if the window's program has given it one.
        ! alive "$name" || kill -TERM -- "-$(pid_of "$name")" 2>/dev/null || true
        end "$name" TERM
    done
    [ -z "$(recall tmux)" ] || tmux kill-session -t "=$(recall tmux)" 2>/dev/null || true
}

# ── Commands ─────────────────────────────────────────────────────────────────────────────────────

known_server() {
    local capital
    case " $SERVERS " in
        *" ${1:-?} "*) ;;
        *)
            capital=$(tr '[:lower:]' '[:upper:]' <<<"${1:-}")
            case " $SERVERS " in
                *" ${capital:-?} "*) say "which server? $1 is none; did you mean $capital?" >&2 ;;
                *) say "which server? One of: $SERVERS${1:+; not $1}" >&2 ;;
            esac
            exit 2
            ;;
    esac
}

# A server, or a Redis.
known_process() {
    case " $(all_redis | tr '\n' ' ')" in
        *" ${1:-?} "*) ;;
        *) known_server "$@" ;;
    esac
}

start() {
    known_server "$@"
    [ -x "$(recall binary)" ] || build
    choose_ports
    start_redis "$(redis_of "$1")"
    start_server "$1"
    await "$1" answers "$1"
    remember_bank "$1"
    say "server $1 is up"
}

kill_process() {
    known_process "$@"
    if ! alive "$1"; then say "$1 doesn't run"; return; fi
    end "$1" KILL
    local id=${1#redis-}
    say "$1 is killed; ./run.sh start ${id/redis/${SERVERS%% *}} brings it back"
}

status() {
    local name all=0
    [ -f "$STATE" ] || die "nothing runs; ./run.sh starts it"
    for name in $(all_redis) $SERVERS; do
        if ! alive "$name"; then all=1; echo "$name: doesn't run"; continue; fi
        echo "$name: process $(pid_of "$name"), log in $DATA/logs/$name.log"
        [ -z "$(recall "http-port-$name")" ] || echo "  figures at http://127.0.0.1:$(recall "http-port-$name")/metrics"
        case $name in
            redis*) echo "  at 127.0.0.1:$(redis_port "$name")" ;;
            *) bank_client "$name" --timeout 500ms --give-up-after 1s -c status 2>&1 | sed 's/^/  /' || all=1 ;;
        esac
    done
    [ -z "$(recall tmux)" ] || echo "terminals: tmux attach -t $(recall tmux)"
    return $all
}

down() {
    [ -f "$STATE" ] || { say "nothing of ours runs"; return 0; }
    local name
    close_terminals
    for name in $SERVERS redis; do end "$name" TERM; done
    for name in $SERVERS; do end "redis-$name" TERM; done
    rm -f "$STATE"
    say "all is down"
}

clean() {
    down
    rm -rf "$DATA"
    say "the bank's data are gone"
}

# Servers, Redis and folder are the program's own: what ends it ends them.
play() {
    local binary
    .ci/install-redis >&2
    # The standard output is the play's.
    make_binary >&2
    cd "$CALLED_FROM"
    exec "$binary" play "$@"
}

# draw FILE [SVG]: plays a scenario file, or takes a folder of traces, and draws it.
draw() {
    local binary
    .ci/install-redis >&2
    make_binary >&2
    cd "$CALLED_FROM"
    exec "$binary" diagram "$1" ${2:+--output "$2"} "${@:3}"
}

run_tests() {
    .ci/install-redis
    cargo test --locked "$@"
}

# Line by line, since awk may wait for more.
colour_levels() {
    local line
    while IFS= read -r line; do
        case $line in
            *Z\ *\ WARN\ \ *) printf '\033[33m%s\033[0m\n' "$line" ;;
            *Z\ *\ ERROR\ *) printf '\033[31m%s\033[0m\n' "$line" ;;
            *) printf '%s\n' "$line" ;;
        esac
    done
}

follow_log() {
    known_process "$@"
    [ -f "$DATA/logs/$1.log" ] || die "$1 has no log here; ./run.sh start ${1#redis-} starts it"
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
        tail -n 200 -F "$DATA/logs/$1.log" | colour_levels
    else
        exec tail -n 200 -F "$DATA/logs/$1.log"
    fi
}

client() {
    known_server "$@"
    [ -n "$(recall base-port)" ] || die "nothing runs; ./run.sh starts it"
    alive "$1" || say "server $1 doesn't run; ./run.sh start $1 starts it" >&2
    exec "$(recall binary)" client --id "$1" --connect "127.0.0.1:$(port_of "$1")" "${@:2}"
}

# The protocol is shown as it goes on, or, with TRACE=1, as the servers have noted it down.
web() {
    local port traces=() opener
    [ -n "$(recall base-port)" ] || die "nothing runs; ./run.sh starts it"
    port=$(free_ports 8080 1 NO_VARIABLE)
    [ -z "${TRACE:-}" ] || traces=(--trace "$DATA/traces")
    for opener in xdg-open open; do
        ! have "$opener" || [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}${TERM_PROGRAM:-}" ] ||
            { (sleep 1; "$opener" "http://127.0.0.1:$port/" >/dev/null 2>&1) & break; }
    done
    # shellcheck disable=SC2086  # several words
    exec "$(recall binary)" web --listen "127.0.0.1:$port" --cluster "$(cluster $(tr ' ' '\n' <<<"$SERVERS" | head -n 9))" \
        ${traces[@]+"${traces[@]}"} "$@"
}

audit() {
    local name urls=()
    # shellcheck disable=SC2046  # several words
    any_alive $(all_redis) || die "no Redis of ours runs; ./run.sh start A starts A's, and server A"
    for name in $(all_redis); do
        # Where one doesn't run, the audit names it among what it could not read.
        urls+=(--redis "redis://127.0.0.1:$(redis_port "$name")")
    done
    for name in $SERVERS; do
        [ ! -f "$(archive_of "$name")/archive.json" ] || urls+=(--archive "$(archive_of "$name")")
    done
    exec "$(recall binary)" audit "${urls[@]}" "$@"
}

main() {
    local command=${1-up}
    [ $# -eq 0 ] || shift
    use_folder "$ROOT/data/bank"
    case $command in
        up) start_everything; open_terminals ;;
        demo) play "$ROOT/tests/scenarios/demo.txt" "$@" ;;
        diagram)
            case ${1:-} in
                *.txt | *.csv | */*) draw "$@" ;;
                *) . tests/diagram.sh; diagram "$@" ;;
            esac
            ;;
        add | remove | start | status | down | clean | client | web | audit | view | window | play) "$command" "$@" ;;
        bench | python | ledger | simulate | chaos | fuzz | stores) exec ./dev.sh "$command" "$@" ;;
        log) follow_log "$@" ;;
        kill) kill_process "$@" ;;
        test) run_tests "$@" ;;
        help | -h | --help) explain run.sh ;;
        *) say "'$command' is not a command; ./run.sh help lists them" >&2; exit 2 ;;
    esac
}

# ./dev.sh reads this for what is in it.
[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
