// What a writer of the tables can have the triggers do: tell of his changes, and nothing else.
#include <catch2/catch.hpp>
#include <string>

#include "core/postgres/foreign_schema.hpp"
#include "tests/postgres/postgres_server.hpp"

using namespace larder;
using namespace larder::test;

namespace {

/// A role that writes, and has operators of its own that note as whom they are run.
struct Trickster : PostgresSchool {
    Trickster() {
        sql("DO $$ BEGIN IF to_regrole('trickster') IS NULL THEN CREATE ROLE trickster LOGIN; END IF; END $$; "
            "CREATE SCHEMA tricks AUTHORIZATION trickster; GRANT USAGE ON SCHEMA larder TO trickster; "
            "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON larder.assignments, larder.submissions TO trickster; "
            "SET ROLE trickster; "
            "CREATE TABLE tricks.runs(as_whom text); GRANT INSERT ON tricks.runs TO PUBLIC; "
            "CREATE FUNCTION tricks.same(text, text) RETURNS boolean LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO tricks.runs VALUES (current_user); RETURN $1 OPERATOR(pg_catalog.=) $2; END $$; "
            "CREATE OPERATOR tricks.= (LEFTARG = text, RIGHTARG = text, FUNCTION = tricks.same); "
            "GRANT USAGE ON SCHEMA tricks TO PUBLIC; RESET ROLE");
    }
    /// With his operators before all others'.
    void write(const std::string& statements) {
        sql("SET search_path = tricks, pg_catalog; SET ROLE trickster; " + statements +
            "; RESET ROLE; RESET search_path");
    }
    std::int64_t runs_as_another() { return number("SELECT count(*) FROM tricks.runs WHERE as_whom <> 'trickster'"); }
};

}  // namespace

TEST_CASE("a writer's own operators are not run by the triggers, which have more rights than he", "[postgres]") {
    Trickster trickster;
    trickster.write("SELECT 'a'::text = 'a'::text");
    REQUIRE(trickster.number("SELECT count(*) FROM tricks.runs") == 1);
    SECTION("of our tables") {
        trickster.write(
            "INSERT INTO larder.assignments(assignment_id, status) VALUES (1, 'draft'); "
            "UPDATE larder.assignments SET status = 'published'; "
            "INSERT INTO larder.submissions(submission_id, assignment_id) VALUES (1, 1); "
            "DELETE FROM larder.submissions; DELETE FROM larder.assignments; TRUNCATE larder.submissions");
    }
    SECTION("of another program's") {
        trickster.sql("CREATE TABLE public.grades(task int, mark int); GRANT ALL ON public.grades TO trickster");
        trickster.sql(postgres::change_triggers_sql(trickster.writer, {"public.grades", "task"}));
        trickster.write(
            "INSERT INTO public.grades VALUES (1, 1); UPDATE public.grades SET mark = 2; DELETE FROM public.grades; "
            "TRUNCATE public.grades");
    }
    CHECK(trickster.number("SELECT count(*) FROM larder.outbox") > 0);
    CHECK(trickster.runs_as_another() == 0);
}

TEST_CASE("an assignment is published once, and told once a transaction", "[postgres]") {
    PostgresSchool school;
    school.sql("TRUNCATE larder.outbox; INSERT INTO larder.assignments(assignment_id, status) VALUES (1, 'draft')");
    const auto told = [&](const std::string& kind) {
        return school.number("SELECT count(*) FROM larder.outbox WHERE kind = '" + kind + "' AND assignment_id = 1");
    };
    CHECK(told("assignment") == 1);
    CHECK(told("published") == 0);
    school.sql(
        "BEGIN; UPDATE larder.assignments SET status = 'published'; UPDATE larder.assignments SET title = 'x'; COMMIT");
    CHECK(told("assignment") == 2);
    CHECK(told("published") == 1);
    school.sql("UPDATE larder.assignments SET title = 'y'");
    CHECK(told("assignment") == 3);
    CHECK(told("published") == 1);
}

TEST_CASE("who may only read makes no trigger of the functions that have more rights than he", "[postgres]") {
    PostgresSchool school;
    school.sql(
        "DO $$ BEGIN IF to_regrole('reader') IS NULL THEN CREATE ROLE reader LOGIN; END IF; END $$; "
        "GRANT larder_reader TO reader; CREATE TABLE public.grades(task int, mark int)");
    school.sql(postgres::change_triggers_sql(school.writer, {"public.grades", "task"}));
    school.sql("TRUNCATE larder.outbox; SET ROLE reader; CREATE TEMP TABLE bait(assignment_id bigint, task int)");
    std::string name = GENERATE(as<std::string>(), "note_changes('everything')", "note_published()", "of grades");
    if (name == "of grades")
        name = school.writer.run("SELECT proname || '()' FROM pg_proc WHERE proname LIKE 'note_%_grades'").text(0, 0);
    CHECK_THROWS_WITH(school.sql("CREATE TRIGGER bite AFTER INSERT ON bait REFERENCING NEW TABLE AS after FOR EACH "
                                 "STATEMENT EXECUTE FUNCTION larder." +
                                 name),
                      Catch::Contains("permission denied for function"));
}
