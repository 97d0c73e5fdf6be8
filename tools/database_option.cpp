#include "tools/database_option.hpp"

#include <CLI/CLI.hpp>

#include "tools/durations_sizes.hpp"
#include "tools/logging.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {

CLI::Option* DatabaseOption::add_to(CLI::App& verb) {
    add_text_option(verb, "schema", schema_file_);
    add_text_option(verb, "relay-db", urls_.relay);
    add_text_option(verb, "nats", urls_.nats);
    add_text_option(verb, "nats-credentials", urls_.nats_credentials);
    add_text_option(verb, "nats-ca", urls_.nats_ca);
    add_text_option(verb, "fleet-tier", fleet_tier_);
    return add_text_option(verb, "db", urls_.workers)->required();
}

bool DatabaseOption::is_named() const {
    if (urls_.workers.empty() && !(urls_.relay.empty() && urls_.nats.empty()))
        throw UsageError("--relay-db and --nats say how a database is followed: name it by --db");
    return !urls_.workers.empty();
}

const std::optional<OwnSchema>& DatabaseOption::schema() const {
    if (!schema_ && !schema_file_.empty()) schema_ = OwnSchema::from_file(schema_file_);
    return schema_;
}

std::shared_ptr<const Database> DatabaseOption::database() const {
    if (database_ != nullptr) return database_;
    DatabaseUrls urls = urls_;
    if (!fleet_tier_.empty()) urls.shares_documents = parse_switch(fleet_tier_);
    database_ = open_database(urls, schema());
    return database_;
}

std::string DatabaseOption::name() const { return without_password(urls_.workers); }

std::string DatabaseOption::schema_text() const { return schema() ? schema()->statements() : std::string(); }

void DatabaseOption::take_schema(std::string text) { schema_ = OwnSchema::of(schema_file_, std::move(text)); }

SourceFactory DatabaseOption::sources() const {
    return [database = database()] { return database->open_source(); };
}

void DatabaseOption::serve(StatsCacheOptions& documents, const std::string& identity) const {
    documents.tier = database()->open_tier(identity, documents.log);
    documents.most_sources = database()->most_sources();
}

void DatabaseOption::check() const {
    const std::vector<std::string> found = database()->findings();
    for (const std::string& finding : found) announce(LogLevel::error, finding);
    if (!found.empty())
        throw Refusal(kFailure,
                      "the database " + name() + " cannot be served; the lines above say why, and what to do");
}

void DatabaseOption::check_publications() const {
    if (database()->announces_publications()) return;
    throw Refusal(kFailure, "--warm-on-publish: no trigger of " + name() +
                                " writes 'published' to the outbox, and `larder triggers` cannot know what that is: "
                                "write one by hand, as `larder help integrate` shows, or leave the option out");
}

}  // namespace larder::tools
