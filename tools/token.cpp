// larder token: a token for the HTTP service.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "core/access.hpp"
#include "tools/durations_sizes.hpp"
#include "tools/http/key_ring.hpp"
#include "tools/http/token.hpp"
#include "tools/json_lines.hpp"
#include "tools/options.hpp"
#include "tools/verbs.hpp"

namespace larder::tools {
namespace {

struct TokenArguments {
    std::uint64_t user_id = 0;
    std::string role;
    std::string expires = "1h";
    std::string key_file;
};

struct TokenRequest {
    Caller caller;
    std::chrono::milliseconds lifetime{0};
    std::string key_file;
};

Role parse_role(const std::string& text) {
    const auto role = role_from(text);
    if (!role) throw CLI::ValidationError("--role", "write student, tutor, teacher or admin");
    return *role;
}

std::chrono::milliseconds parse_lifetime(const std::string& text) {
    std::chrono::milliseconds lifetime{0};
    try {
        lifetime = parse_duration(text);
    } catch (const std::invalid_argument& error) {
        throw CLI::ValidationError("--expires", error.what());
    }
    if (lifetime < std::chrono::seconds(1))
        throw CLI::ValidationError("--expires", "`" + text + "`: write a duration of at least 1s, such as 1h or 7d");
    return lifetime;
}

int token(const TokenRequest& wanted) {
    try {
        print(make_token(wanted.caller, wanted.lifetime, KeyRing::from_file(wanted.key_file), WallClock::now()) + "\n");
    } catch (const KeyFileError& error) {
        throw Refusal(kFailure, error.what());
    }
    return kOk;
}

}  // namespace

void add_token(CLI::App& program, Action& action) {
    CLI::App* const verb = program.add_subcommand("token", "Make a token for the HTTP service");
    const auto arguments = std::make_shared<TokenArguments>();
    add_count(*verb, "--user", arguments->user_id, "Whose it is: the number of an author, for a tutor or teacher")
        ->required()
        ->type_name("ID");
    verb->add_option("--role", arguments->role, "What the user may see")
        ->required()
        ->type_name("student|tutor|teacher|admin");
    verb->add_option("--expires", arguments->expires, "How long it is valid [default: 1h]")->type_name("DURATION");
    add_text_option(*verb, "auth-key-file", arguments->key_file)->required();
    verb->footer("Use it as a header: `Authorization: Bearer TOKEN`. The first key of the file signs.");
    verb->callback([arguments, &action] {
        const Caller caller{.user_id = static_cast<UserId>(arguments->user_id), .role = parse_role(arguments->role)};
        const TokenRequest wanted{caller, parse_lifetime(arguments->expires), arguments->key_file};
        action = [wanted] { return token(wanted); };
    });
}

}  // namespace larder::tools
