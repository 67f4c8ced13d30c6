#!/usr/bin/env bash
#
# What DUMP says of a hash changes though nobody writes: reading is enough.
#
# A hash that outgrows its table is moved to a larger one bit by bit, a little with each command that touches it, reads among
# them. DUMP writes the fields in the order in which they lie. So two DUMPs before and after reads differ, while the fields
# are the same. (Whoever compares DUMPs to see whether something was written is misled.) Seen with 6.2.5 and 8.2.3.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

for version in 6.2.5 8.2.3; do
    redis_server $version
    start "$FOLDER/data-$version"
    # A value of more than 64 bytes makes it a table at once, of four places; with the ninth field it moves for the second time.
    cli HSET hash field-0 "$(printf '%080d' 0)" >/dev/null
    for field in 1 2 3 4 5 6 7 8; do cli HSET hash field-$field x >/dev/null; done
    dump=$(cli DUMP hash | md5sum)
    fields=$(cli HGETALL hash | paste - - | sort | md5sum)
    for _ in 1 2 3 4 5 6 7 8; do cli HGET hash field-0 >/dev/null; done
    seen "the fields, after eight reads" "$fields" "$(cli HGETALL hash | paste - - | sort | md5sum)"
    [ "$dump" != "$(cli DUMP hash | md5sum)" ] || changed "DUMP is what it was before the reads"
    say "  DUMP: another one than before the reads"
    stop TERM
done
