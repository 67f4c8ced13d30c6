#!/usr/bin/env bash
#
# redis://HOST:PORT?db=3 is database 3 to one client, and database 0, without a word, to another.
#
# redis-py takes the number from the query. redis-cli -u takes it from the path alone, and ignores the query. So who
# looks with redis-cli at what a program in Python wrote, by the same URL, finds nothing; and who empties "that database"
# empties another one. Seen with redis-py 6.4.0 and the redis-cli of 6.2.5.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

package redis==6.4.0
# by_python URL COMMAND…
by_python() {
    PYTHONPATH=$FOLDER/packages python3 - "$@" <<'END'
import sys, redis
url, *command = sys.argv[1:]
print(redis.Redis.from_url(url, decode_responses=True).execute_command(*command))
END
}

redis_server 6.2.5
start "$FOLDER/data"
url="redis://127.0.0.1:$PORT?db=3"
seen "redis-py writes" True "$(by_python "$url" SET key value)"
seen "redis-cli -u reads" "" "$("$CLI" -u "$url" GET key 2>/dev/null)"
seen "it is in database 3" value "$(cli -n 3 GET key)"
"$CLI" -u "$url" SET other value >/dev/null 2>&1
seen "what redis-cli -u writes is in database 0" value "$(cli -n 0 GET other)"
seen "both agree on redis://HOST:PORT/3" value "$("$CLI" -u "redis://127.0.0.1:$PORT/3" GET key 2>/dev/null)"
stop TERM
