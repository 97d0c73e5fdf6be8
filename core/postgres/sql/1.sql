-- Version 1: what an import fills and workers read, and where its changes are told. In a schema of its own, `larder`.

CREATE TABLE larder.assignments(
    assignment_id  bigint PRIMARY KEY,
    title          text,
    author_id      bigint,
    max_score      numeric(13, 4) CHECK (abs(max_score) < 1e9),
    due_at         timestamptz,
    assigned_count bigint NOT NULL DEFAULT 0,
    course         text CHECK (octet_length(course) <= 249),
    status         text,
    created_at     timestamptz
);
CREATE INDEX assignments_by_author ON larder.assignments(author_id);

CREATE TABLE larder.submissions(
    submission_id  bigint PRIMARY KEY,
    assignment_id  bigint NOT NULL,
    student_id     bigint,
    status         text,
    score          numeric(13, 4) CHECK (abs(score) < 1e9),
    max_score      numeric(13, 4) CHECK (abs(max_score) < 1e9),
    is_late        boolean NOT NULL DEFAULT false,
    submitted_at   timestamptz,
    graded_at      timestamptz
);
CREATE INDEX submissions_by_assignment ON larder.submissions(assignment_id);

-- One row an assignment that a transaction has touched. Transactions become visible in another order than they began:
-- who reads on goes by txid and by the snapshot of his last look. There is no number of the row: it would cost the writer
-- a sequence's, and lead readers astray.
CREATE TABLE larder.outbox(
    txid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    assignment_id bigint NOT NULL,
    kind          text NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (txid, assignment_id, kind)
);

-- Rows of transactions below removed_below are gone, or may be: whoever has not read that far knows nothing.
CREATE TABLE larder.outbox_state(
    only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    removed_below bigint NOT NULL DEFAULT 0
);
INSERT INTO larder.outbox_state DEFAULT VALUES;

CREATE FUNCTION larder.note_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE larder.outbox_state SET removed_below = pg_current_xact_id()::text::bigint + 1;
    ELSIF EXISTS (SELECT FROM removed) THEN
        UPDATE larder.outbox_state SET removed_below = greatest(removed_below,
            (SELECT max(txid::text::bigint) + 1 FROM removed));
    END IF;
    RETURN NULL;
END $$;

-- The writers of the tables need no right to the outbox: the functions have their owner's. They call nothing, and name
-- each table and each operator with its schema: no writer's search_path has them run what is his, and none is set, which
-- costs a tenth of a trigger. Nobody else makes a trigger of them, on a table whose columns have casts of his. The
-- argument is the kind.
CREATE FUNCTION larder.note_changes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder.outbox(assignment_id, kind)
            SELECT DISTINCT assignment_id, TG_ARGV[0] FROM after ON CONFLICT DO NOTHING;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO larder.outbox(assignment_id, kind)
            SELECT DISTINCT assignment_id, TG_ARGV[0] FROM before ON CONFLICT DO NOTHING;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO larder.outbox(assignment_id, kind)
            SELECT assignment_id, TG_ARGV[0] FROM before UNION SELECT assignment_id, TG_ARGV[0] FROM after
            ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO larder.outbox(assignment_id, kind) VALUES (0, 'everything') ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION larder.note_published() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO larder.outbox(assignment_id, kind)
            SELECT assignment_id, 'published' FROM after WHERE status OPERATOR(pg_catalog.=) 'published'
            ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO larder.outbox(assignment_id, kind)
            SELECT assignment_id, 'published' FROM (
                SELECT assignment_id FROM after WHERE status OPERATOR(pg_catalog.=) 'published'
                EXCEPT SELECT assignment_id FROM before WHERE status OPERATOR(pg_catalog.=) 'published') published
            ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION larder.note_removed(), larder.note_changes(), larder.note_published() FROM PUBLIC;
