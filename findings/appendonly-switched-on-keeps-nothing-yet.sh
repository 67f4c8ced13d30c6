#!/usr/bin/env bash
#
# CONFIG SET appendonly yes answers OK, and nothing is kept until the first rewrite is done.
#
# CONFIG GET says yes and always, INFO says aof_enabled:1, writes are confirmed as ever; but as long as the first rewrite takes
# they are in memory only. (rdb-key-save-delay makes that rewrite as slow as it is with many keys.) Seen with 8.2.3: after
# kill -9 Redis comes back without a key, three confirmed transactions are gone. What tells: INFO has
# aof_rewrite_in_progress:1 or aof_rewrite_scheduled:1.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

redis_server 8.2.3
data=$FOLDER/data
start "$data" --appendonly no --rdb-key-save-delay 2000000
cli SET old value >/dev/null
for number in 1 2; do cli SET old-$number value >/dev/null; done
seen "CONFIG SET appendonly yes" OK "$(cli CONFIG SET appendonly yes)"
seen "appendonly" yes "$(cli CONFIG GET appendonly | tail -n 1)"
seen "appendfsync" always "$(cli CONFIG GET appendfsync | tail -n 1)"
seen "INFO" aof_enabled:1 "$(cli INFO persistence | tr -d '\r' | grep aof_enabled)"
for number in 1 2 3; do pay $number; done
seen "payments confirmed" 3 "$(cli LLEN payments)"
seen "INFO" aof_rewrite_in_progress:1 "$(cli INFO persistence | tr -d '\r' | grep aof_rewrite_in_progress)"
stop KILL
start "$data"
seen "keys after kill -9" 0 "$(cli DBSIZE)"
