#include "tools/doctor_database.hpp"

#include <string>

#include "shm/entry_cursor.hpp"
#include "shm/inspector.hpp"
#include "shm/segment.hpp"
#include "tools/inspection.hpp"

namespace larder::tools {

namespace {

/// How far the cache's listener has been told, by the cache's own entry.
std::optional<OutboxPosition> position_of(const shm::SegmentView& view) {
    const std::optional<shm::Entry> entry = shm::find_entry(view, position_key, true, segment_now_ns());
    if (!entry || entry->state != shm::EntryState::live) return std::nullopt;
    return OutboxPosition::parse(entry->value);
}

}  // namespace

void examine_database(const DatabaseOption& option, const shm::SegmentView* view, std::vector<shm::Finding>& findings) {
    try {
        const std::shared_ptr<const Database> database = option.database();
        const std::string served = view == nullptr ? "" : shm::read_identity(*view), named = database->identity();
        if (!served.empty() && served != shm::stored_identity(named))
            findings.push_back({"other_database", shm::Severity::error,
                                "The cache serves " + served + ", and " + option.name() + " is " + named + ".",
                                "Name the database of the service, or make the cache anew (`larder rm`)."});
        ToldPosition told;
        if (view != nullptr) told = [view] { return position_of(*view); };
        for (const std::string& unprepared : database->findings())
            findings.push_back({"database_unprepared", shm::Severity::error,
                                "The database " + option.name() + " cannot be served: " + unprepared + ".",
                                "`larder serve` does not start before that is done."});
        const std::vector<shm::Finding> links = database->examine_links(told);
        findings.insert(findings.end(), links.begin(), links.end());
    } catch (const SourceError& error) {
        findings.push_back({"database_unreachable", shm::Severity::error,
                            std::string("The database cannot be read: ") + error.what() + ".",
                            "See that it is there, and that this user may read it."});
    }
}

}  // namespace larder::tools
