#include <utility>

#include "shm/cache.hpp"

namespace larder {

OpenError::OpenError(std::string stage_text, std::string reason_text, std::string remedy_text)
    : std::runtime_error(stage_text + ": " + reason_text + "; " + remedy_text),
      stage(std::move(stage_text)),
      reason(std::move(reason_text)),
      remedy(std::move(remedy_text)) {}

}  // namespace larder
