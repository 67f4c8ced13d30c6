# The scenario of ./run.sh demo, which sources this: real processes, a real Redis, in a folder and
# at ports of its own. Each check is printed as `ok` or `FAILED`.
# shellcheck shell=bash

passed=0
failed=0

# ── Checks ───────────────────────────────────────────────────────────────────────────────────────

# check WHAT EXPECTED FOUND
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "  ok      $1: $3"
    else
        failed=$((failed + 1))
        echo "  FAILED  $1: expected '$2', found '$3'"
    fi
}

# check_soon WHAT COMMAND…: what is said at one server takes a moment to arrive at the others.
check_soon() {
    local what=$1
    shift
    if wait_until 15 "$@"; then check "$what" yes yes; else check "$what" yes "not within 15 s"; fi
}

# ── Asking, and reading the line of JSON that answers ────────────────────────────────────────────

# ask ID COMMAND: leaves the answer in $reply and the client's exit status in $answered.
ask() {
    answered=0
    reply=$(bank_client "$1" --json -c "$2" 2>>"$DATA/logs/clients.log") || answered=$?
}

# values NAME: of all fields of this name, in their order, on one line.
values() {
    { grep -oE "\"$1\":(\"[^\"]*\"|\[[^]]*\]|[^],}]*)" <<<"$reply" || true; } |
        sed 's/^[^:]*://' | tr -d '"[]' | tr '\n' ' ' | sed 's/ $//'
}

balance() { ask "$1" "balance ${2:-$1}"; values balance; }
committed() { ask "$1" "balance $2"; values committed; }
log_length() { ask "$1" log; values seq | wc -w | tr -d ' '; }
hashes() { ask "$1" chain; values hash; }
local_balances() { echo "A $(balance A), B $(balance B), C $(balance C)"; }
log_lengths() { echo "A $(log_length A), B $(log_length B), C $(log_length C)"; }

# The number of entries in each block: a seq counts for the height that stands before it.
chain_shape() {
    ask "$1" chain
    { grep -oE '"(height|seq)":' <<<"$reply" || true; } |
        awk '/height/ { block++ } /seq/ { n[block]++ } END { for (i = 1; i <= block; i++) printf "%s%d", (i > 1 ? " " : ""), n[i] }'
}

same_chains() {
    local first id
    first=$(hashes "$1")
    for id in "$@"; do [ -n "$first" ] && [ "$(hashes "$id")" = "$first" ] || return 1; done
}

# Each block names the hash of the one before.
is_linked() {
    local all previous
    ask "$1" chain
    all=$(values hash) previous=$(values previous)
    [ "${previous#* }" = "${all% *}" ] || [ "$(wc -w <<<"$all")" -eq 1 ]
}

# sees AT PEER true|false: whether AT says that it is connected to PEER.
sees() {
    ask "$1" status
    grep -oE "\{[^{}]*\"id\":\"$2\"[^{}]*\}" <<<"$reply" | grep -q "\"connected\":$3"
}

all_connected() {
    sees A B true && sees A C true && sees B A true && sees B C true && sees C A true && sees C B true
}

# A run waits for those servers only that are known to hold the block before.
all_know_of_block() {
    local id
    for id in $SERVERS; do
        ask "$id" status
        [ "$(values height)" = "$1 $1 $1" ] || return 1
    done
}

# sums ID…: what all accounts hold by the chain of each of these servers.
sums() {
    local id
    for id in "$@"; do echo $(($(committed "$id" A) + $(committed "$id" B) + $(committed "$id" C))); done | xargs
}

# pays FROM TO AMOUNT VIA BALANCE: is accepted that way and leaves that much.
pays() {
    ask "$1" "transfer $2 $3"
    check "$1→$2 $3" "accepted, $4, balance $5, status 0" \
        "$(values outcome), $(values via), balance $(values balance), status $answered"
}

settles() {
    ask "$1" settle
    check "settle at $1" "status 0" "status $answered"
}

comes_back() {
    start_server "$1"
    await "$1" answers "$1"
    ask "$1" status
    check "$1 comes back as a" zombie "$(values start)"
}

dies() {
    end "$1" KILL
    echo "  (server $1 is killed: kill -9)"
}

# show ID…: what each of these servers holds.
show() {
    local id
    for id in "$@"; do
        echo "  server $id"
        bank_client "$id" -c log -c chain -c balance | sed 's/^/    /'
    done
}

# ── The scenario ─────────────────────────────────────────────────────────────────────────────────

step_1() {
    printf '\n1. Four transfers that their homes can cover: all are local, no Paxos\n'
    pays A C 20 local 80
    pays A B 60 local 20
    pays B A 70 local 30
    pays C A 50 local 50
    check "lengths of the local logs" "A 2, B 1, C 1" "$(log_lengths)"
    check "entries in A's blocks (genesis only)" "0" "$(chain_shape A)"
    check_soon "all chains have the same hashes" same_chains A B C
    check "local balances" "A 20, B 30, C 50" "$(local_balances)"
    show A B C
}

step_2() {
    printf '\n2. A has 20 and pays 30: a Paxos run gathers the logs into block 1, then A has 140\n'
    pays A B 30 paxos 110
    check_soon "all chains have the same hashes" same_chains A B C
    check "entries in A's blocks" "0 4" "$(chain_shape A)"
    check "lengths of the local logs" "A 1, B 0, C 0" "$(log_lengths)"
    pays B C 50 local 40
    pays C B 60 local 10
    check_soon "each server knows that the others hold block 1" all_know_of_block 1
    show A B C
}

step_3() {
    printf '\n3. B has 40 and pays 60: a run makes block 2 of three entries\n'
    pays B A 60 paxos 70
    check_soon "all chains have the same hashes" same_chains A B C
    check "entries in B's blocks" "0 4 3" "$(chain_shape B)"
    check_soon "each block names the hash of the one before" is_linked C
    check "lengths of the local logs" "A 0, B 1, C 0" "$(log_lengths)"
    check "local balances" "A 110, B 70, C 60" "$(local_balances)"
    check "total by each server's chain" "300 300 300" "$(sums A B C)"
    show A B C
}

step_4() {
    printf '\n4. B dies. A and C are a majority; what B alone holds is neither seen nor lost\n'
    dies B
    check_soon "A sees that B is not connected" sees A B false
    check_soon "so does C" sees C B false
    ask A "transfer B 200"
    check "A→B 200" "refused, consulted A,C, status 1" \
        "$(values outcome), consulted $(values consulted), status $answered"
    check "A's balance is as it was" 110 "$(balance A)"
    pays A C 100 local 10
    settles A
    check_soon "A and C have the same chain" same_chains A C
    check "A's run committed without B; entries in A's blocks" "0 4 3 1" "$(chain_shape A)"
    show A C
    comes_back B
    check_soon "B has fetched the block that it lacked" same_chains A B C
    check "B's own entry is still in its log" 1 "$(log_length B)"
    check "and B's balance is as it was" 70 "$(balance B)"
    show A B C
}

step_5() {
    printf '\n5. B and C die. A goes on with what it has, and promises nothing that takes a majority\n'
    dies B
    dies C
    check_soon "A sees that B is not connected" sees A B false
    check_soon "nor C" sees A C false
    pays A B 5 local 5
    local began=$SECONDS
    ask A "transfer B 10000"
    check "A→B 10000" "unavailable, status 3" "$(values outcome), status $answered"
    check "answered within 10 s" yes "$([ $((SECONDS - began)) -le 10 ] && echo yes || echo no)"
    check "it has not happened: A's balance, and its log's length" "5 1" "$(balance A) $(log_length A)"
    show A
    comes_back B
    comes_back C
    check_soon "all are connected again" all_connected
    settles A
    check_soon "all chains have the same hashes" same_chains A B C
    check_soon "each block names the hash of the one before" is_linked B
    check "lengths of the local logs" "A 0, B 0, C 0" "$(log_lengths)"
    check "local balances" "A 65, B 75, C 160" "$(local_balances)"
    check "balances by B's chain" "A 65, B 75, C 160" \
        "A $(committed B A), B $(committed B B), C $(committed B C)"
    check "total by each server's chain" "300 300 300" "$(sums A B C)"
    show A B C
}

# Runs however the demo ends, so that it leaves nothing behind.
demo_end() {
    local status=$? id
    trap '' INT TERM HUP
    if [ $status -ne 0 ]; then
        for id in $SERVERS; do
            printf '\nThe end of the log of server %s:\n' "$id"
            tail -n 20 "$DATA/logs/$id.log" 2>/dev/null || true
        done
    fi
    # In a shell of its own: whatever goes wrong there, the folder goes.
    (down) || status=1
    rm -rf "$DATA"
    exit $status
}

demo() {
    use_folder "$(mktemp -d "${TMPDIR:-/tmp}/paxos-banking-demo.XXXXXX")"
    trap demo_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # Below the range from which systems take ports for outgoing connections, and by chance, so that
    # two demos at once don't look for free ones at the same place.
    REDIS_PORT_USUALLY=$((20000 + RANDOM % 6000))
    BASE_PORT_USUALLY=$((26000 + RANDOM % 6000))
    REDIS_PORT="" BASE_PORT=""
    # Shorter than usual: step 5 waits for it.
    SERVER_FLAGS="--unavailable-after 2s"
    start_everything
    step_1
    step_2
    step_3
    step_4
    step_5
    printf '\n%s checks passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}
