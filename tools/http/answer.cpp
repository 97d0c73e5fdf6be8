#include "tools/http/answer.hpp"

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace larder::tools {
namespace {

struct FaultRow {
    Fault fault;
    unsigned status;
    std::string_view code;
};

constexpr std::array<FaultRow, 10> faults{{
    {Fault::bad_request, 400, "bad_request"},
    {Fault::unauthorized, 401, "unauthorized"},
    {Fault::forbidden, 403, "forbidden"},
    {Fault::not_found, 404, "not_found"},
    {Fault::method_not_allowed, 405, "method_not_allowed"},
    {Fault::timeout, 408, "timeout"},
    {Fault::too_large, 413, "too_large"},
    {Fault::header_too_large, 431, "header_too_large"},
    {Fault::internal, 500, "internal"},
    {Fault::unavailable, 503, "unavailable"},
}};

constexpr bool rows_follow_the_enumeration() {
    for (std::size_t i = 0; i < faults.size(); ++i)
        if (faults[i].fault != static_cast<Fault>(i)) return false;
    return true;
}
static_assert(rows_follow_the_enumeration(), "status_of and code_of index the table by the fault");

}  // namespace

unsigned status_of(Fault fault) { return faults[static_cast<std::size_t>(fault)].status; }
std::string_view code_of(Fault fault) { return faults[static_cast<std::size_t>(fault)].code; }

Answer error_answer(Fault fault, std::string_view message) {
    boost::json::object error;
    error["code"] = code_of(fault);
    error["message"] = message;
    boost::json::object body;
    body["error"] = std::move(error);
    Answer answer;
    answer.status = status_of(fault);
    answer.text = boost::json::serialize(body);
    if (fault == Fault::unauthorized) answer.headers.emplace_back("WWW-Authenticate", "Bearer");
    if (fault == Fault::unavailable) answer.headers.emplace_back("Retry-After", "1");
    return answer;
}

Answer json_answer(std::string text) {
    Answer answer;
    answer.text = std::move(text);
    return answer;
}

}  // namespace larder::tools
