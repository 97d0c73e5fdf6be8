-- After whatever made or changed the schema, and again: triggers that are absent or disabled, roles that could not be made
-- before, and what they may do.

DO $$
DECLARE wanted record;
BEGIN
    FOR wanted IN
        SELECT relation::regclass, name, format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION larder.%s', name, event, relation, tables, function) AS statement
        FROM (
            SELECT 'larder.' || kind || 's', name, event, tables, format('note_changes(%L)', kind)
            FROM (VALUES ('submission'), ('assignment')) kinds(kind), (VALUES
                ('inserted', 'INSERT', 'REFERENCING NEW TABLE AS after'),
                ('updated', 'UPDATE', 'REFERENCING OLD TABLE AS before NEW TABLE AS after'),
                ('deleted', 'DELETE', 'REFERENCING OLD TABLE AS before'),
                ('truncated', 'TRUNCATE', '')) changes(name, event, tables)
            UNION ALL VALUES
                ('larder.assignments', 'published_at_once', 'INSERT', 'REFERENCING NEW TABLE AS after', 'note_published()'),
                ('larder.assignments', 'published_later', 'UPDATE', 'REFERENCING OLD TABLE AS before NEW TABLE AS after',
                    'note_published()'),
                ('larder.outbox', 'outbox_removed', 'DELETE', 'REFERENCING OLD TABLE AS removed', 'note_removed()'),
                ('larder.outbox', 'outbox_truncated', 'TRUNCATE', '', 'note_removed()')
        ) all_of_them(relation, name, event, tables, function)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger
            WHERE tgrelid = wanted.relation AND tgname = wanted.name AND tgenabled IN ('O', 'A')) THEN
            EXECUTE wanted.statement;
        END IF;
    END LOOP;
END $$;

-- Roles belong to the whole server: who may not make them has somebody make them, and runs this again.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'larder_reader') THEN CREATE ROLE larder_reader; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'larder_relay') THEN CREATE ROLE larder_relay; END IF;
EXCEPTION WHEN insufficient_privilege THEN NULL;
END $$;
DO $$
BEGIN
    GRANT USAGE ON SCHEMA larder TO larder_reader, larder_relay;
    GRANT SELECT ON larder.assignments, larder.submissions TO larder_reader;
    GRANT SELECT, DELETE ON larder.outbox TO larder_relay;
    GRANT SELECT, UPDATE ON larder.outbox_state TO larder_relay;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL;
END $$;
