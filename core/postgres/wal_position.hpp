// Where a server's log ends, as a number.
#pragma once

namespace larder::postgres {

/// SQL, of a server that writes: whoever has replayed the log up to there has all that is committed. The next record
/// begins behind the header of its page, 24 bytes or, in a segment's first page, 40: where nothing is written there yet
/// a replica that has everything stands before it.
inline constexpr const char* select_log_end =
    "(SELECT at - CASE WHEN at % segment = 40 THEN 40 WHEN at % page = 24 THEN 24 ELSE 0 END FROM (SELECT "
    "(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint at, pg_size_bytes(current_setting('wal_segment_size')) "
    "segment, current_setting('wal_block_size')::bigint page) log)";

}  // namespace larder::postgres
