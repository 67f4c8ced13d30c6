#!/usr/bin/env bash
#
# WAITAOF 1 1, sent together with a write, takes a second, though both disks have the write within milliseconds.
#
# Redis sends the write to its replica and, behind it, the question how far that is. The replica answers the question while
# it still has the write to flush, so it names the write before; the next thing that it says by itself comes a second later.
# Nothing is wrong with the answer, only with the time. If WAIT 1 comes first, its answer leaves the replica after the flush,
# and WAITAOF asks once more. Seen with 8.2.3.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

redis_server 8.2.3
start "$FOLDER/master"
master=$PORT
start "$FOLDER/replica" --replicaof "127.0.0.1 $master"
until cli INFO replication | grep -q master_link_status:up; do sleep 0.1; done
PORT=$master
until cli INFO replication | grep -q state=online; do sleep 0.1; done
sleep 2

# milliseconds COMMAND…: how long ten writes take, each sent together with these commands.
milliseconds() {
    python3 - "$PORT" "$@" <<'END'
import socket, sys, time
port, *commands = sys.argv[1:]
server = socket.create_connection(("127.0.0.1", int(port)))
replies = server.makefile("rb")
begun = time.monotonic()
for _ in range(10):
    server.sendall("".join(f"{command}\r\n" for command in ["INCR number", *commands]).encode())
    for _ in range(1 + len(commands)):
        # A number, or two.
        for _ in range(int(first[1:]) if (first := replies.readline()).startswith(b"*") else 0):
            replies.readline()
print(round((time.monotonic() - begun) * 1000))
END
}

# of WHAT EXPECTED MILLISECONDS: whether ten writes took seconds.
of() {
    local took=moments
    [ "$3" -lt 4000 ] || took=seconds
    say "  ten writes $1: $3 ms"
    seen "that is" "$2" "$took"
}

of "with WAITAOF 1 0" moments "$(milliseconds 'WAITAOF 1 0 5000')"
of "with WAITAOF 1 1" seconds "$(milliseconds 'WAITAOF 1 1 5000')"
of "with WAIT 1 and WAITAOF 1 1" moments "$(milliseconds 'WAIT 1 5000' 'WAITAOF 1 1 5000')"
