#include "tools/doctor_database.hpp"

#include <string>

#include "shm/entry_cursor.hpp"
#include "tools/inspection.hpp"

namespace larder::tools {

std::optional<OutboxPosition> position_of(const shm::SegmentView& view) {
    const std::optional<shm::Entry> entry = shm::find_entry(view, position_key, true, segment_now_ns());
    if (!entry || entry->state != shm::EntryState::live) return std::nullopt;
    return OutboxPosition::parse(entry->value);
}

void examine_database(const DatabaseOption& option, const ToldPosition& told, std::vector<shm::Finding>& findings) {
    try {
        const std::shared_ptr<const Database> database = option.database();
        for (const std::string& unprepared : database->findings())
            findings.push_back({"database_unprepared", shm::Severity::error,
                                "The database " + option.name() + " is not prepared: " + unprepared + ".",
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
