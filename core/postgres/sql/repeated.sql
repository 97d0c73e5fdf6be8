-- After whatever made or changed the schema, and again: triggers that are absent, disabled or other ones, roles that could
-- not be made before, and what they may do. What changed while nobody told of it is everything.

DO $$
DECLARE wanted record;
BEGIN
    FOR wanted IN
        SELECT relation::regclass, name, type, ('larder.' || function || '()')::regprocedure AS function,
            format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION larder.%I(%s)',
                name, event, relation, tables, function, argument) AS statement
        FROM (
            SELECT 'larder.' || kind || 's', name, type, event, tables, 'note_changes', quote_literal(kind)
            FROM (VALUES ('submission'), ('assignment')) kinds(kind), (VALUES
                ('inserted', 4, 'INSERT', 'REFERENCING NEW TABLE AS after'),
                ('updated', 16, 'UPDATE', 'REFERENCING OLD TABLE AS before NEW TABLE AS after'),
                ('deleted', 8, 'DELETE', 'REFERENCING OLD TABLE AS before'),
                ('truncated', 32, 'TRUNCATE', '')) changes(name, type, event, tables)
            UNION ALL VALUES
                ('larder.assignments', 'published_at_once', 4, 'INSERT', 'REFERENCING NEW TABLE AS after',
                    'note_published', ''),
                ('larder.assignments', 'published_later', 16, 'UPDATE',
                    'REFERENCING OLD TABLE AS before NEW TABLE AS after', 'note_published', ''),
                ('larder.outbox', 'outbox_removed', 8, 'DELETE', 'REFERENCING OLD TABLE AS removed', 'note_removed', ''),
                ('larder.outbox', 'outbox_truncated', 32, 'TRUNCATE', '', 'note_removed', '')
        ) all_of_them(relation, name, type, event, tables, function, argument)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = wanted.relation AND tgname = wanted.name
            AND tgenabled IN ('O', 'A') AND tgtype = wanted.type AND tgfoid = wanted.function
            AND tgqual IS NULL AND tgattr = '') THEN
            EXECUTE wanted.statement;
            INSERT INTO larder.outbox(assignment_id, kind) VALUES (0, 'everything') ON CONFLICT DO NOTHING;
        END IF;
    END LOOP;
END $$;

-- Roles belong to the whole server: who may not make them has somebody make them, and runs this again.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'larder_reader') THEN CREATE ROLE larder_reader; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'larder_relay') THEN CREATE ROLE larder_relay; END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
    GRANT USAGE ON SCHEMA larder TO larder_reader;
    GRANT SELECT ON larder.assignments, larder.submissions TO larder_reader;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL;
END $$;
DO $$
BEGIN
    GRANT USAGE ON SCHEMA larder TO larder_relay;
    GRANT SELECT, DELETE ON larder.outbox TO larder_relay;
    GRANT SELECT, UPDATE ON larder.outbox_state TO larder_relay;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN NULL;
END $$;
