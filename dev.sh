#!/usr/bin/env bash
#
# What is used by those who work on PAXOS-Banking itself; what runs a bank is in ./run.sh.
#
#   ./dev.sh bench [ARG…]       measures, and checks what came of it; bench --help says what
#   ./dev.sh simulate HOW       runs the simulator: --seeds N or --minutes M, with --from S from seed S
#                               on; or --seed S with a trace
#   ./dev.sh chaos HOW          breaks real servers, Redis and connections: --minutes N [--seed S]; or
#                               measures what a stopped peer costs, latency, or an absence, away
#   ./dev.sh fuzz TARGET HOW    bad input without end for client-lines, peer-lines, stored-values, prompt,
#                               command-line, scenario-files, handshake or all: --minutes N for each, --seed S
#                               to begin with
#   ./dev.sh stores [NAME]      tries a bank on each Redis and Valkey that doc/OPERATING.md names, kills it under load, and
#                               destroys masters that have replicas
#   ./dev.sh python             tries doc/sealed.py, which does the handshake by the Python package noiseprotocol
#   ./dev.sh ledger             has ledger and hledger read what export --ledger writes
#   ./dev.sh help               shows this
#
# ./run.sh test runs all tests; doc/TESTS.md says what they are. PAXOS_BANKING_BIN names a program that bench
# measures instead of building one.

set -euo pipefail

# shellcheck source=run.sh
. "$(dirname "${BASH_SOURCE[0]}")/run.sh"

stores() {
    .ci/install-redis
    .ci/install-stores all
    cargo test --locked --test stores --test copies -- --include-ignored --nocapture --test-threads 1 "$@"
}

bench() {
    .ci/install-redis
    if [ -z "${PAXOS_BANKING_BIN:-}" ]; then
        cargo build --release --locked
        # Aside, for cargo bench puts one that isn't quite what is shipped in the same place.
        mkdir -p "$ROOT/target/bench"
        PAXOS_BANKING_BIN=$ROOT/target/bench/paxos-banking
        cp "$(target_folder)/release/paxos-banking" "$PAXOS_BANKING_BIN"
    fi
    GLIBC_TUNABLES=$TUNABLES PAXOS_BANKING_BIN=$PAXOS_BANKING_BIN \
        cargo bench --locked --bench bank -- "$@"
}

python() {
    local packages=$ROOT/target/python
    [ -d "$packages/noise" ] ||
        python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
            --target "$packages" noiseprotocol==0.3.1
    PYTHONPATH=$packages cargo test --locked --test python -- --include-ignored "$@"
}

ledger() {
    .ci/install-redis
    .ci/install-ledger
    cargo test --locked --test audit -- --include-ignored journal "$@"
}

simulate() {
    local variable
    case ${1:-} in
        --seeds | --minutes | --seed) variable=$(tr '[:lower:]' '[:upper:]' <<<"${1#--}") ;;
        *) say "simulate --seeds N [--from S], --minutes M [--from S] or --seed S" >&2; exit 2 ;;
    esac
    case ${2:-} in
        '' | *[!0-9]*) say "simulate $1 takes a number" >&2; exit 2 ;;
    esac
    if [ $# -gt 2 ]; then
        [[ "$1 ${*:3}" =~ ^--(seeds|minutes)\ --from\ [0-9]+$ ]] ||
            { say "after simulate $1 $2 there may be --from S, with the number of a seed" >&2; exit 2; }
    fi
    env -u SEED -u SEEDS -u MINUTES FROM="${4:-0}" "$variable=$2" \
        cargo test --release --locked --quiet --test sim -- --nocapture
}

chaos() {
    [[ "$*" =~ ^(latency|away|--minutes\ [0-9]+(\ --seed\ [0-9]+)?)$ ]] ||
        { say "chaos --minutes N [--seed S], chaos latency or chaos away" >&2; exit 2; }
    .ci/install-redis
    cargo test --release --locked --quiet --test chaos -- chaos "$@" || exit 1
}

fuzz() {
    local target=${1:-} variable settings=()
    case $target in
        '' | -*) say "fuzz TARGET|all --minutes N [--seed S]" >&2; exit 2 ;;
    esac
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --minutes | --seed) variable=$(tr '[:lower:]' '[:upper:]' <<<"${1#--}") ;;
            *) say "fuzz $target takes --minutes N and --seed S" >&2; exit 2 ;;
        esac
        case ${2:-} in
            '' | *[!0-9]*) say "fuzz $target $1 takes a number" >&2; exit 2 ;;
        esac
        settings+=("$variable=$2")
        shift 2
    done
    .ci/install-redis
    env -u SEED -u MINUTES "TARGET=$target" ${settings[@]+"${settings[@]}"} \
        cargo test --profile fuzz --locked --quiet --test fuzz
}

main_of_developers() {
    local command=${1-help}
    [ $# -eq 0 ] || shift
    case $command in
        bench | python | ledger | simulate | chaos | fuzz | stores) "$command" "$@" ;;
        help | -h | --help) explain dev.sh ;;
        *) say "'$command' is not a command; ./dev.sh help lists them" >&2; exit 2 ;;
    esac
}

main_of_developers "$@"
