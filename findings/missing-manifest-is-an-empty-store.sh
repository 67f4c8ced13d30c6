#!/usr/bin/env bash
#
# A folder without its manifest is an empty store to Redis 7 and later, and is written over.
#
# The append-only file is several files, and a manifest names those that count. Without it Redis starts, with no key and
# without a word of warning, though the others lie there; it makes a new manifest, writes an empty base over the old one if
# that has the number 1, and appends to the old file of that number. At the start after that, what was appended before and
# since is loaded as if it were one history, on the empty base. Seen with 8.2.3.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

redis_server 8.2.3
data=$FOLDER/data
start "$data"
for number in 1 2 3; do pay $number; done
stop TERM
rm "$data/appendonlydir/appendonly.aof.manifest" "$data/log"
start "$data" || changed "it does not start"
seen "keys without the manifest, of 2" 0 "$(cli DBSIZE)"
seen "lines in its log about a manifest or a warning" 0 \
    "$(grep -v overcommit "$data/log" | grep -v 'Creating AOF' | grep -ciE 'manifest|missing|warning:' || true)"
pay 4
seen "payments after one more" 1 "$(cli LLEN payments)"
seen "number" 1 "$(cli GET number)"
stop TERM
start "$data"
seen "payments after the next start" 4 "$(cli LLEN payments)"
seen "number" 4 "$(cli GET number)"
