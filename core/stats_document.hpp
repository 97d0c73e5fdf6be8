// The document: the statistics of an assignment as the JSON bytes that are cached and served.
#pragma once

#include <string>

#include "core/analytics.hpp"
#include "core/assignment.hpp"
#include "core/timestamp.hpp"

namespace larder {

/// One JSON object in UTF-8, its fields in a fixed order, its numbers of two decimals at most. `generated_at` is when
/// the source was read, `cached_at` when the document was handed to the cache.
std::string to_document(const Assignment& assignment, const AssignmentStatistics& statistics, Timestamp generated_at,
                        Timestamp cached_at);

}  // namespace larder
