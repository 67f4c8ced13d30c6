#!/usr/bin/env bash
#
# With aof-load-truncated yes, the default, the beginning of a torn transaction is executed by a later EXEC.
#
# A power cut left the beginning of a transaction at the end of the append-only file: MULTI, a whole command, and half of
# the next one. At its next start Redis cuts off only the half command. MULTI and the whole one stay, and what is written
# from then on goes behind them. At the start after that, the EXEC of the next transaction executes it. So a command comes
# true of a transaction that was never confirmed, and whose other commands never happened. Seen with 6.2.5 and 8.2.3.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for version in 6.2.5 8.2.3; do
    redis_server $version
    data=$FOLDER/data-$version
    start "$data"
    pay 1
    stop KILL
    file=$data/appendonlydir/appendonly.aof.1.incr.aof
    [ -f "$file" ] || file=$data/appendonly.aof
    printf '*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$6\r\nnumber\r\n*3\r\n$5\r\nRPUSH\r\n$8\r\npaym' >>"$file"
    start "$data"
    seen "number after the power cut" 1 "$(cli GET number)"
    pay 2
    seen "number after one more payment" 2 "$(cli GET number)"
    stop TERM
    start "$data"
    seen "number after one more start" 3 "$(cli GET number || true)"
    seen "payments then" 2 "$(cli LLEN payments)"
    stop TERM
done
