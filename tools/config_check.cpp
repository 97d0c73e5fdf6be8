#include "tools/config_check.hpp"

#include <fmt/format.h>

#include <functional>
#include <set>
#include <utility>

#include "core/own_schema.hpp"
#include "shm/geometry.hpp"
#include "tools/database_option.hpp"
#include "tools/document_options.hpp"
#include "tools/durations_sizes.hpp"
#include "tools/http/audit_log.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/serve_config.hpp"

namespace larder::tools {
namespace {

class Check {
public:
    Check(const ConfigFile& file, std::string key_file)
        : file_(file), key_file_(std::move(key_file)), problems_(file.problems()) {
        if (key_file_.empty()) key_file_ = text_of("auth-key-file");
    }

    std::vector<std::string> run() {
        for (const ConfigEntry& entry : file_.entries()) check_entry(entry);
        with(geometry_key(), [this](const std::string&) { check_geometry(); });
        with("schema", [](const std::string& path) {
            if (!path.empty()) static_cast<void>(OwnSchema::from_file(path));
        });
        with("db", [this](const std::string&) {
            const bool is_said = file_.find("schema") != nullptr && good_.count("schema") == 0;
            if (is_said) return;
            for (const std::string& finding : database().database()->findings()) complain(*file_.find("db"), finding);
        });
        check_pair("ttl-min", "ttl-max");
        with("soft-ttl", [this](const std::string&) { check_documents(); });
        with("warm-on-publish", [this](const std::string& wanted) {
            if (file_.find("db") != nullptr && good_.count("db") != 0 && parse_switch(wanted))
                database().check_publications();
        });
        with("auth-key-file", [](const std::string& path) {
            if (!path.empty()) static_cast<void>(KeyRing::read_file(path));
        });
        with("audit-log", AuditLog::check);
        with("listen", [this](const std::string& listen) { static_cast<void>(served_address(listen, key_file_)); });
        return std::move(problems_);
    }

private:
    std::string text_of(std::string_view name) const {
        const ConfigEntry* const entry = file_.find(name);
        return entry == nullptr ? std::string() : entry->text;
    }
    DatabaseOption database() const {
        return {{.workers = text_of("db"),
                 .relay = text_of("relay-db"),
                 .nats = text_of("nats"),
                 .nats_credentials = text_of("nats-credentials"),
                 .nats_ca = text_of("nats-ca"),
                 .shares_documents = good_.count("fleet-tier") != 0 && parse_switch(text_of("fleet-tier"))},
                text_of("schema")};
    }
    void check_entry(const ConfigEntry& entry) {
        std::string error = entry.error;
        try {
            if (error.empty()) check_text(*entry.row, entry.text);
        } catch (const std::invalid_argument& wrong) {
            error = wrong.what();
        }
        if (error.empty())
            good_.insert(entry.row->name);
        else
            complain(entry, error);
    }
    /// Does what serve would do with a text that is good by itself.
    void with(std::string_view name, const std::function<void(const std::string& text)>& use) {
        const ConfigEntry* const entry = file_.find(name);
        if (entry == nullptr || good_.count(name) == 0) return;
        try {
            use(entry->text);
        } catch (const OpenError& error) {
            constexpr std::string_view field = "size_bytes = ";
            std::string reason = error.reason;
            if (reason.compare(0, field.size(), field) == 0) reason.erase(0, field.size());
            complain(*entry, fmt::format("{}; {}", reason, error.remedy));
        } catch (const std::exception& error) {
            complain(*entry, error.what());
        }
    }
    /// Two durations that serve takes only together.
    void check_pair(std::string_view smaller, std::string_view larger) {
        const ConfigEntry *const one = file_.find(smaller), *const other = file_.find(larger);
        if (one == nullptr && other == nullptr) return;
        if (one == nullptr || other == nullptr)
            return complain(one == nullptr ? *other : *one,
                            fmt::format("{} and {} belong together: give both", smaller, larger));
        if (good_.count(smaller) == 0 || good_.count(larger) == 0) return;
        if (parse_duration(one->text) > parse_duration(other->text))
            complain(*one, fmt::format("it is above {}: write a shorter time", larger));
    }
    /// The key to blame where the sizes of a cache do not go together; any name: the file has none.
    std::string_view geometry_key() const {
        if (file_.find("size") != nullptr) return "size";
        for (const ConfigEntry& entry : file_.entries())
            if (entry.row->group == OptionGroup::geometry) return entry.row->name;
        return "size";
    }
    void check_geometry() const {
        Options options;
        for (const ConfigEntry& entry : file_.entries())
            if (entry.row->apply != nullptr && good_.count(entry.row->name) != 0) entry.row->apply(options, entry.text);
        static_cast<void>(shm::plan_geometry(options));
    }
    /// What serve makes of all texts about documents together.
    void check_documents() const {
        Options options;
        if (good_.count("ttl") != 0) option_row("ttl").apply(options, text_of("ttl"));
        static_cast<void>(DocumentOptions::parsed(
            [this](std::string_view name) { return good_.count(name) != 0 ? text_of(name) : std::string(); },
            options.ttl));
    }
    void complain(const ConfigEntry& entry, const std::string& what) {
        good_.erase(entry.row->name);
        problems_.push_back(fmt::format("{}: {}", entry.place(), what));
    }

    const ConfigFile& file_;
    std::string key_file_;
    std::vector<std::string> problems_;
    std::set<std::string_view> good_;
};

}  // namespace

std::vector<std::string> config_problems(const ConfigFile& file, const std::string& other_key_file) {
    return Check(file, other_key_file).run();
}

}  // namespace larder::tools
