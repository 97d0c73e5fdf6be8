// A PostgreSQL database of another program: read through views, announced by triggers that are generated for its
// tables.
#pragma once

#include <string>
#include <vector>

#include "core/change_triggers.hpp"

namespace larder::postgres {

class Connection;

/// Triggers t, of functions p that write to the outbox, whoever made them and whatever they are called.
inline constexpr const char* from_telling_triggers =
    " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid AND p.prosrc LIKE '%larder.outbox%' ";

/// Makes the views `assignments` and `submissions` of this connection alone, by CREATE TEMP VIEW statements. Throws
/// SourceError, also where one of the two is missing.
void apply_views(Connection& connection, const std::string& views);

/// The statement that says whether the tables that the views read still have the names by which these found them.
/// REQUIRES: views are applied.
std::string names_hold_sql(Connection& connection);

/// The tables that the views read, also through views of the database, or our own, and of which triggers do not write
/// all changes to the outbox: a sentence each, with what to do. A trigger is trusted with what it writes. REQUIRES:
/// views are applied, where the tables are not ours.
std::vector<std::string> unwatched_tables(Connection& connection, bool are_ours);

/// Some trigger's function writes 'published' to the outbox.
bool announces_publications(Connection& connection);

/// The statements that make triggers for inserts, updates, deletes and truncation of the table, in the place of older
/// ones of these names. Throws SourceError when the database has no such table or column.
std::string change_triggers_sql(Connection& connection, const WatchedTable& table);

}  // namespace larder::postgres
