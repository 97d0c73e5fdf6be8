// The database that a URL names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/own_schema.hpp"
#include "core/remote_database.hpp"
#include "tools/options.hpp"

namespace larder::tools {

/// postgres://... and postgresql://... are opened by a module, larder-fleet.so, which is loaded for them alone: from
/// the program's own directory, or where it was installed beside it. All others name a SQLite file. Throws SourceError;
/// UsageError where these do not go together.
std::shared_ptr<const Database> open_database(const DatabaseUrls& urls, const std::optional<OwnSchema>& schema);

/// It is opened by the module.
bool is_remote_url(std::string_view url);

/// A database's URL for people to read: no PASSWORD of USER:PASSWORD@, no `password=`.
std::string without_password(std::string url);

/// What an option says, for people to read: URLs without what lets one in; where that cannot be told from the rest,
/// "...".
std::string without_secrets(const OptionRow& row, const std::string& text);

}  // namespace larder::tools
