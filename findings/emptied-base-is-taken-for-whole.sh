#!/usr/bin/env bash
#
# A base file of no bytes is loaded without a word.
#
# Redis 7 and later writes a snapshot as the base of its append-only file, with a checksum at its end. A damaged one is
# refused; one of which nothing is left is not, though Redis never writes such a one. Seen with 8.2.3: it starts, with
# only what was appended since.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

redis_server 8.2.3
data=$FOLDER/data
start "$data"
for number in 1 2 3; do pay $number; done
cli BGREWRITEAOF >/dev/null
until [ -f "$data/appendonlydir/appendonly.aof.2.base.rdb" ]; do sleep 0.1; done
until cli INFO persistence | grep -q 'aof_rewrite_in_progress:0'; do sleep 0.1; done
pay 4
stop TERM
base=$data/appendonlydir/appendonly.aof.2.base.rdb
cp "$base" "$FOLDER/whole"
flip "$base" payment-1 1 0 q
if start "$data"; then changed "it loads a damaged base"; fi
say "  with a damaged byte: it does not start"
: >"$base"
rm "$data/log"
start "$data" || changed "it does not start"
seen "payments after the start with an empty base, of 4" 1 "$(cli LLEN payments)"
