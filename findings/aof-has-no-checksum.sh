#!/usr/bin/env bash
#
# A byte that changes within a value in the append-only file is loaded as if it had been written so.
#
# The file has lengths and no checksums (only the snapshot in its base has one), so redis-check-aof calls it valid, too.
# Seen with 6.2.5 and 8.2.3.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for version in 6.2.5 8.2.3; do
    redis_server $version
    data=$FOLDER/data-$version
    start "$data"
    pay 1
    stop TERM
    file=$data/appendonlydir/appendonly.aof.1.incr.aof
    [ -f "$file" ] || file=$data/appendonly.aof
    flip "$file" payment-1 1 8 9
    "$CHECK" "$file" >/dev/null || changed "redis-check-aof notices it"
    start "$data" || changed "it does not start"
    seen "the payment, written as payment-1" payment-9 "$(cli LINDEX payments 0)"
    stop TERM
done
