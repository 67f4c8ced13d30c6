#!/usr/bin/env bash
#
# redis-check-aof --fix cuts everything behind the first place that it can't read.
#
# Redis tells people to use it when its append-only file can't be loaded. Here one byte in the second of five
# transactions is damaged. Seen with 6.2.5 and 8.2.3: after the repair one of five is left, the tool says
# "Successfully truncated AOF" and ends with status 0; it does not say that whole transactions stood behind.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for version in 6.2.5 8.2.3; do
    redis_server $version
    data=$FOLDER/data-$version
    start "$data"
    for number in 1 2 3 4 5; do pay $number; done
    stop TERM
    manifest=$data/appendonlydir/appendonly.aof.manifest
    file=$data/appendonlydir/appendonly.aof.1.incr.aof
    [ -f "$manifest" ] || { manifest=$data/appendonly.aof; file=$manifest; }
    flip "$file" EXEC 2 -4 5
    if start "$data"; then changed "it loads a damaged file"; fi
    say "  its log: $(grep -o 'Bad file format.*' "$data/log" | head -n 1)"
    said=$(echo y | "$CHECK" --fix "$manifest") || changed "the repair fails"
    say "  the repair: $(grep -o 'Successfully truncated AOF' <<<"$said")"
    start "$data"
    seen "payments left, of 5" 1 "$(cli LLEN payments)"
    stop TERM
done
