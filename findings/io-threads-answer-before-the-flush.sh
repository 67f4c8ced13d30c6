#!/usr/bin/env bash
#
# Redis 8.2 with several I/O threads answers before it has flushed, though appendfsync is always.
#
# Each fdatasync is made to take 40 ms longer (by a preloaded library, compiled here with gcc), as on a slow disk. A
# write that is answered earlier than that after it was sent was answered before its flush had ended. Seen with 8.2.3: none
# of the answers with one thread, some with four (17 of 3,609; on another day 426 of 965). With WAITAOF 1 0 0 behind the write
# none came early with four, either.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cat >"$FOLDER/slow.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
int fdatasync(int file) {
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    usleep(40000);
    return flush(file);
}
END
gcc -shared -fPIC -o "$FOLDER/slow.so" "$FOLDER/slow.c" -ldl

cat >"$FOLDER/early.py" <<'END'
"""Sixteen clients, one write in flight each: how many answers there were, and how many came too early."""
import socket, sys, threading, time

port, behind, delay, until = int(sys.argv[1]), sys.argv[2].encode(), 0.04, time.monotonic() + 10
counts = []

def client(number):
    sock = socket.create_connection(("127.0.0.1", port))
    write = b"MULTI\r\nINCR n%d\r\nRPUSH l%d x\r\nEXEC\r\n" % (number, number)
    write += behind + b"\r\n" if behind else b""
    lines = 4 + 2 + (3 if behind else 0)
    answers = early = 0
    while time.monotonic() < until:
        sent, read = time.monotonic(), b""
        sock.sendall(write)
        while read.count(b"\r\n") < lines:
            read += sock.recv(4096)
        answers += 1
        early += time.monotonic() - sent < delay
    counts.append((answers, early))

threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(answers for answers, _ in counts), sum(early for _, early in counts))
END

redis_server 8.2.3
measure() {
    LD_PRELOAD=$FOLDER/slow.so start "$FOLDER/data-$1-${2:-none}" --io-threads "$1"
    read -r answers early <<<"$(python3 "$FOLDER/early.py" "$PORT" "${2:-}")"
    say "  io-threads $1${2:+, with $2}: $answers answers, of which $early came before the flush"
    stop KILL
}
measure 1
[ "$early" = 0 ] || changed "with one thread it answered early, too"
measure 4
[ "$early" -gt 0 ] || changed "with four threads no answer came early"
measure 4 "WAITAOF 1 0 0"
[ "$early" = 0 ] || changed "with WAITAOF an answer came early"
