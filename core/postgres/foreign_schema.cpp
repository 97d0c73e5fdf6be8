#include "core/postgres/foreign_schema.hpp"

#include "core/postgres/connection.hpp"
#include "core/shell_word.hpp"
#include "core/submission_source.hpp"

namespace larder::postgres {
namespace {

constexpr const char* count_views =
    "SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'v' "
    "AND relname IN ('assignments', 'submissions')";

// A view goes on reading the table that had the name when it was made. Whether another has it now.
constexpr const char* select_names_hold = R"(
SELECT 'SELECT ' || coalesce(string_agg(DISTINCT format('to_regclass(%L) IS NOT DISTINCT FROM %s::oid::regclass',
    d.refobjid::regclass, d.refobjid), ' AND '), 'true')
FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid JOIN pg_depend d
    ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
JOIN pg_class c ON c.oid = d.refobjid AND c.relnamespace <> pg_my_temp_schema()
WHERE v.relnamespace = pg_my_temp_schema())";

// Each relation behind the views that keeps rows, the parts of a table too (whoever writes to a part fires its triggers
// alone), and whether every kind of change fires a trigger, after each statement or row and of whatever columns and
// values, whose function writes to the outbox. tgtype: 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead
// of. $1: the schema of our tables, or of the views.
std::string select_tables() {
    return R"(
WITH RECURSIVE used(oid) AS (
    SELECT oid FROM pg_class WHERE relnamespace = $1::oid AND relname IN ('assignments', 'submissions')
    UNION
    SELECT behind.oid FROM used, LATERAL (
        SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d
            ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
            AND d.refobjid <> used.oid
            WHERE r.ev_class = used.oid
        UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = used.oid) behind(oid)
), told(oid, events) AS (
    SELECT tgrelid, bit_or(tgtype))" +
           std::string(from_telling_triggers) +
           R"(WHERE tgtype & 66 = 0 AND tgenabled IN ('O', 'A') AND tgattr = '' AND tgqual IS NULL
        AND (proname = 'note_published' AND pronamespace = to_regnamespace('larder')) IS NOT TRUE
    GROUP BY tgrelid
)
SELECT c.oid::regclass::text, CASE relkind WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table' END,
    concat_ws(', ', CASE WHEN coalesce(events, 0) & 4 = 0 THEN 'INSERT' END,
        CASE WHEN coalesce(events, 0) & 16 = 0 THEN 'UPDATE' END,
        CASE WHEN coalesce(events, 0) & 8 = 0 THEN 'DELETE' END,
        CASE WHEN coalesce(events, 0) & 32 = 0 THEN 'TRUNCATE' END)
FROM used JOIN pg_class c USING (oid) LEFT JOIN told USING (oid)
WHERE relkind IN ('f', 'm') OR (relkind IN ('r', 'p') AND coalesce(events, 0) & 60 <> 60) ORDER BY 1)";
}

std::string select_publications() {
    return "SELECT EXISTS (SELECT" + std::string(from_telling_triggers) +
           "JOIN pg_class c ON c.oid = t.tgrelid WHERE prosrc LIKE '%''published''%' AND c.relnamespace <> "
           "to_regnamespace('larder'))";
}

// $1: the table's number, $2: its column. The function's name has both of the table's, of which no two share the
// number, however they are renamed.
constexpr const char* select_triggers_sql = R"(
WITH named AS (
    SELECT attrelid::regclass AS oid, (SELECT coalesce(nullif(typbasetype, 0), t.oid) IN ('int2'::regtype,
            'int4'::regtype, 'int8'::regtype) FROM pg_type t WHERE t.oid = atttypid) AS is_id,
        quote_ident(attname) AS of,
        quote_ident('note_' || attrelid::oid || '_' || left(relname, 40)) AS note
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attrelid = $1::oid AND attname = $2::text AND attnum > 0 AND NOT attisdropped
)
SELECT CASE WHEN is_id THEN format($sql$CREATE OR REPLACE FUNCTION larder.%1$s() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $body$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder.outbox(assignment_id, kind) SELECT DISTINCT after.%2$s, 'change' FROM after
            WHERE after.%2$s IS NOT NULL ON CONFLICT DO NOTHING;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder.outbox(assignment_id, kind) SELECT DISTINCT before.%2$s, 'change' FROM before
            WHERE before.%2$s IS NOT NULL ON CONFLICT DO NOTHING;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder.outbox(assignment_id, kind) SELECT changed.%2$s, 'change' FROM
            (SELECT before.%2$s FROM before UNION SELECT after.%2$s FROM after) changed
            WHERE changed.%2$s IS NOT NULL ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO larder.outbox(assignment_id, kind) VALUES (0, 'everything') ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $body$;
REVOKE EXECUTE ON FUNCTION larder.%1$s() FROM PUBLIC;
CREATE OR REPLACE TRIGGER larder_inserted AFTER INSERT ON %3$s REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION larder.%1$s();
CREATE OR REPLACE TRIGGER larder_updated AFTER UPDATE ON %3$s REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION larder.%1$s();
CREATE OR REPLACE TRIGGER larder_deleted AFTER DELETE ON %3$s REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION larder.%1$s();
CREATE OR REPLACE TRIGGER larder_truncated AFTER TRUNCATE ON %3$s
    FOR EACH STATEMENT EXECUTE FUNCTION larder.%1$s();
$sql$, note, of, oid) END FROM named)";

}  // namespace

std::string names_hold_sql(Connection& connection) { return std::string(connection.run(select_names_hold).text(0, 0)); }

void apply_views(Connection& connection, const std::string& views) {
    connection.see_public(true);
    connection.run(views);
    connection.see_public(false);
    if (connection.run(count_views).integer(0, 0) != 2)
        throw SourceError(
            "the file of --schema makes no views `assignments` and `submissions`: it needs CREATE TEMP VIEW for each");
}

std::vector<std::string> unwatched_tables(Connection& connection, bool are_ours) {
    connection.prepare("tables", select_tables());
    const char* const schema =
        are_ours ? "SELECT coalesce(to_regnamespace('larder')::oid, 0)::bigint" : "SELECT pg_my_temp_schema()::bigint";
    const Rows rows = connection.ask("tables", {connection.run(schema).integer(0, 0)});
    std::vector<std::string> findings;
    for (int row = 0; row < rows.count(); ++row) {
        const std::string table(rows.text(row, 0));
        if (!rows.is_null(row, 1))
            findings.push_back("the views read " + table + ", " + std::string(rows.text(row, 1)) +
                               ", of whose changes nobody here can be told: let them read tables of this database");
        else
            findings.push_back(
                "changes of the table " + table + " would go unnoticed (no trigger AFTER " +
                std::string(rows.text(row, 2)) + " writes to larder.outbox): run `larder triggers --db URL " +
                (are_ours ? "--install` as its owner"
                          : "--table " + shell_word(table) +
                                " --assignment-column COLUMN --install` as its owner, where COLUMN has the "
                                "assignment's id"));
    }
    return findings;
}

bool announces_publications(Connection& connection) { return connection.run(select_publications()).flag(0, 0); }

std::string change_triggers_sql(Connection& connection, const WatchedTable& table) {
    connection.prepare("table",
                       "SELECT oid::bigint, (relnamespace = to_regnamespace('larder') AND relname IN ('outbox', "
                       "'outbox_state')) IS TRUE FROM pg_class WHERE oid = $1::text::regclass");
    connection.see_public(true);
    const Rows found = connection.ask("table", {table.name});
    const std::int64_t oid = found.integer(0, 0);
    if (found.flag(0, 1)) throw SourceError("the table " + table.name + " is what triggers write to: it has none");
    connection.see_public(false);
    connection.prepare("triggers", select_triggers_sql);
    const Rows rows = connection.ask("triggers", {oid, table.assignment_column});
    if (rows.count() != 0 && rows.is_null(0, 0))
        throw SourceError("the column " + table.assignment_column + " of " + table.name +
                          " has no whole numbers: name the one with the assignment's id");
    if (rows.count() == 0)
        throw SourceError("the table " + table.name + " has no column " + table.assignment_column +
                          ": name the one with the assignment's id");
    return std::string(rows.text(0, 0));
}

}  // namespace larder::postgres
