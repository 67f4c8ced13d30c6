#!/usr/bin/env bash
#
# Redis 6 in the folder of Redis 7 or later starts empty, without a word.
#
# Redis 7 moved the append-only file into a folder. An older Redis doesn't look there: where a newer one has run it finds no
# file, starts with no key, and logs nothing but that it is ready. Seen with 8.2.3 and then 6.2.5.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

data=$FOLDER/data
redis_server 8.2.3
start "$data"
for number in 1 2 3; do pay $number; done
seen "keys" 2 "$(cli DBSIZE)"
stop TERM
rm "$data/log"
redis_server 6.2.5
start "$data" || changed "it does not start"
seen "keys" 0 "$(cli DBSIZE)"
seen "lines in its log about the folder" 0 "$(grep -c appendonlydir "$data/log" || true)"
seen "files in the folder" 3 "$(find "$data/appendonlydir" -type f | wc -l)"
