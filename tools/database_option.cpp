#include "tools/database_option.hpp"

#include <CLI/CLI.hpp>

#include "core/sqlite_source.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {

CLI::Option* DatabaseOption::add_to(CLI::App& verb) {
    add_text_option(verb, "schema", schema_file_);
    return add_text_option(verb, "db", url_)->required();
}

std::string DatabaseOption::path() const { return sqlite_path(url_); }

const OwnSchema* DatabaseOption::schema() const {
    if (schema_ == nullptr && !schema_file_.empty())
        schema_ = std::make_shared<const OwnSchema>(OwnSchema::from_file(schema_file_));
    return schema_.get();
}

void DatabaseOption::take_schema(std::string text) {
    schema_ = std::make_shared<const OwnSchema>(OwnSchema::of(schema_file_, std::move(text)));
}

SourceFactory DatabaseOption::sources() const {
    schema();
    return [url = url_, schema = schema_] { return open_source(url, schema.get()); };
}

std::vector<std::string> DatabaseOption::findings() const {
    static_cast<void>(open_source(url_, schema()));
    return schema() == nullptr ? std::vector<std::string>{} : unwatched_tables(url_, *schema());
}

void DatabaseOption::check() const {
    const std::vector<std::string> found = findings();
    for (const std::string& finding : found) announce(LogLevel::error, finding);
    if (!found.empty())
        throw Refusal(kFailure,
                      "the database " + url_ + " is not prepared; the lines above say what it lacks, and what to do");
}

void DatabaseOption::check_publications() const {
    if (schema() == nullptr || announces_publications(url_)) return;
    throw Refusal(kFailure, "--warm-on-publish: no trigger of " + url_ +
                                " writes 'published' to the outbox, and `larder triggers` cannot know what that is: "
                                "write one by hand, as `larder help integrate` shows, or leave the option out");
}

}  // namespace larder::tools
