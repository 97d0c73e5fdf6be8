#include "tools/reload.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <stdexcept>
#include <utility>

#include "core/own_schema.hpp"
#include "core/submission_source.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/listen_address.hpp"
#include "tools/logging.hpp"
#include "tools/open_database.hpp"
#include "tools/service_manager.hpp"
#include "tools/terminal.hpp"

namespace larder::tools {
namespace {

constexpr std::string_view usual_log_level = "info";

bool needs_restart(const OptionRow& row) { return row.group != OptionGroup::behaviour && !row.reloads; }

const ConfigEntry* entry_in(const std::optional<ConfigFile>& file, std::string_view name) {
    return file ? file->find(name) : nullptr;
}

bool is_from_file(const Setting& setting) {
    return setting.origin == Origin::file || setting.origin == Origin::fallback;
}

/// `file` is read anew; what the setting's verb was told besides stays. Empty: nobody says.
std::string text_in(const Setting& setting, const std::optional<ConfigFile>& file) {
    if (!is_from_file(setting)) return setting.text;
    const ConfigEntry* const entry = entry_in(file, setting.row->name);
    return entry == nullptr ? std::string() : entry->text;
}

std::string text_in(const SettingsInUse& in_use, std::string_view name, const std::optional<ConfigFile>& file) {
    for (const Setting& setting : in_use.settings)
        if (setting.row->name == name) return text_in(setting, file);
    return {};
}

std::string schema_now(const SettingsInUse& in_use, const std::optional<ConfigFile>& file) try {
    return OwnSchema::from_file(text_in(in_use, "schema", file)).statements();
} catch (const SourceError&) {
    return {};  // it is not there any more
}

void check_entry(const ConfigEntry& entry) {
    try {
        if (!entry.error.empty()) throw std::invalid_argument(entry.error);
        check_text(*entry.row, entry.text);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(fmt::format("{}: {}", entry.place(), error.what()));
    }
}

std::optional<ConfigFile> read_again(const std::string& given) {
    std::optional<ConfigFile> file = find_config_file(given);
    if (file && !file->problems().empty()) throw ConfigFileError(file->first_problem());
    return file;
}

/// What the workers of the next generation are to read.
std::optional<ConfigFile> merged(const std::optional<ConfigFile>& running, const std::optional<ConfigFile>& fresh) {
    std::vector<ConfigEntry> entries;
    for (const OptionRow& row : option_table())
        if (const ConfigEntry* const entry = entry_in(needs_restart(row) ? running : fresh, row.name); entry != nullptr)
            entries.push_back(*entry);
    if (!running && !fresh) return std::nullopt;
    return ConfigFile::of(fresh ? fresh->path() : running->path(), std::move(entries));
}

std::string or_default(const std::string& text, const OptionRow& row) {
    return escaped(text.empty() ? row.default_text : text);
}

void note_change(const Setting& setting, const std::optional<ConfigFile>& running,
                 const std::optional<ConfigFile>& fresh, ReloadPlan& plan) {
    const OptionRow& row = *setting.row;
    if (const ConfigEntry* const entry = entry_in(fresh, row.name); entry != nullptr) check_entry(*entry);
    const std::string before = text_in(setting, running), now = text_in(setting, fresh);
    if (or_default(before, row) == or_default(now, row)) return;
    const std::string text_before = or_default(without_secrets(row, before), row),
                      text_now = or_default(without_secrets(row, now), row);
    (needs_restart(row) ? plan.needs_restart : plan.changed)
        .push_back(fmt::format("{} = {} (was {}){}", row.name, text_now, text_before,
                               row.group == OptionGroup::geometry ? ", and `larder rm` before it" : ""));
}

bool takes_keys_away(const std::string& before, const std::string& now) {
    return !before.empty() && !now.empty() && !KeyRing::parse(now).has_all_of(KeyRing::parse(before));
}

}  // namespace

ReloadPlan plan_reload(const SettingsInUse& in_use, const Handover& running, const ListenAddress& address) {
    ReloadPlan plan;
    const std::optional<ConfigFile> fresh = read_again(in_use.given);
    for (const Setting& setting : in_use.settings)
        if (is_from_file(setting)) note_change(setting, running.file, fresh, plan);
    plan.handover.file = merged(running.file, fresh);
    plan.handover.schema = running.schema;
    if (!running.schema.empty() && schema_now(in_use, running.file) != running.schema)
        plan.needs_restart.push_back("the statements of the file that schema names");

    const std::string key_file = text_in(in_use, "auth-key-file", fresh);
    refuse_open_house(address, key_file);
    if (!key_file.empty()) plan.handover.key_file = KeyRing::read_file(key_file);
    if (plan.handover.key_file != running.key_file) plan.changed.push_back("the keys in the key file");

    const std::string workers = text_in(in_use, "workers", fresh), level = text_in(in_use, "log-level", fresh);
    plan.workers = parse_workers(workers.empty() ? option_row("workers").default_text : workers);
    plan.log_level = level.empty() ? usual_log_level : level;
    return plan;
}

void Reloader::ask(WorkerCrew::Clock::time_point now) {
    terminal_.note_hangup(now);
    asked_ = true;
}

void Reloader::step(WorkerCrew& workers, WorkerCrew::Clock::time_point now) {
    terminal_.look(now);
    if (workers.is_replacing()) return;
    if (reloading_) end(workers.replacement_failed());
    if (!std::exchange(asked_, false)) return;
    notify_reloading();
    begin(workers);
    if (!reloading_) notify_reloaded();
}

void Reloader::begin(WorkerCrew& workers) try {
    ReloadPlan plan = plan_reload(settings_in_use(), running_, address_);
    for (const std::string& change : plan.needs_restart)
        spdlog::warn("Needs a restart, and stays as it was: {}", change);
    if (plan.changed.empty()) return spdlog::info("Reloaded: nothing has changed that a running service can take");
    std::string changes;
    for (const std::string& change : plan.changed) changes += (changes.empty() ? "" : "; ") + change;
    spdlog::info("Reloading, worker by worker: {}", changes);
    if (plan.handover.key_file.empty() && !running_.key_file.empty())
        spdlog::warn("No --auth-key-file any more: everybody on this host is let in and may see every assignment");
    workers.replace(plan.workers, plan.handover, takes_keys_away(running_.key_file, plan.handover.key_file));
    log_level_before_ = log_level();
    before_ = std::exchange(running_, std::move(plan.handover));
    reloading_ = true;
    set_log_level(plan.log_level);
} catch (const std::exception& error) {
    spdlog::error("Not reloaded, everything stays as it was: {}", escaped(error.what()));
}

void Reloader::end(bool failed) {
    reloading_ = false;
    notify_reloaded();
    if (!failed) return succeed();
    running_ = std::move(before_);
    set_log_level(log_level_before_);
    spdlog::error("Not reloaded: the workers have the settings that they had before");
}

void Reloader::succeed() try {
    on_reloaded_([this](std::string_view name) { return text_in(settings_in_use(), name, running_.file); });
    spdlog::info("Reloaded: all workers are new");
} catch (const std::exception& error) {
    spdlog::error("Reloaded: all workers are new, but what is warmed is computed as before: {}", escaped(error.what()));
}

std::string Reloader::log_level() const {
    const std::string level = text_in(settings_in_use(), "log-level", running_.file);
    return level.empty() ? std::string(usual_log_level) : level;
}

}  // namespace larder::tools
