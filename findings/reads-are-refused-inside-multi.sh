#!/usr/bin/env bash
#
# Over maxmemory, Redis before 7.4 refuses reads, too, if they stand inside MULTI.
#
# By itself a GET is answered there; inside a transaction that only reads it is refused, and the transaction with it.
# Seen with 6.2.5; 8.2.3 answers it.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for version in 6.2.5 8.2.3; do
    redis_server $version
    start "$FOLDER/data-$version" --maxmemory-policy noeviction
    cli SET key value >/dev/null
    cli CONFIG SET maxmemory 1 >/dev/null
    seen "SET" OOM "$(cli SET key other 2>&1 | grep -o OOM)"
    seen "GET" value "$(cli GET key)"
    said=$(printf 'MULTI\nGET key\nEXEC\n' | cli 2>&1 | grep -v "^[[:space:]]*$" | tail -n 1)
    case $version in
        6.2.5) seen "MULTI, GET, EXEC" "EXECABORT" "$(grep -o EXECABORT <<<"$said")" ;;
        *) seen "MULTI, GET, EXEC" value "$said" ;;
    esac
    stop TERM
done
