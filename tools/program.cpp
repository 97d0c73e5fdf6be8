#include "tools/program.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tools/options.hpp"
#include "tools/settings.hpp"

namespace larder::tools {
namespace {

std::string footer() {
    std::string codes;
    for (const ExitCodeText& row : exit_code_table)
        codes += fmt::format("{}{} {}", codes.empty() ? "" : ", ", static_cast<int>(row.code), row.meaning);
    return fmt::format("Exit codes: {}.\n{}", codes, units_text);
}

void add_verbs(CLI::App& program, Action& action) {
    for (const auto add :
         {add_serve,  add_import, add_analytics,  add_hit_rate, add_ls,     add_stat, add_top,    add_dump,
          add_get,    add_put,    add_invalidate, add_listen,   add_doctor, add_rm,   add_replay, add_advise,
          add_record, add_warm,   add_triggers,   add_token,    add_config, add_help})
        add(program, action);
}

}  // namespace

void define_program(CLI::App& program, ProgramOptions& options, Action& action) {
    program.name("larder");
    program.description("Larder: one shared-memory cache per host, without a server");
    program.set_version_flag("--version", "larder " LARDER_VERSION, "Print the version and exit");
    program.set_help_flag("-h,--help", "Print this help and exit");
    add_config_option(program);
    add_text_option(program, "log-level", options.log_level);
    add_text_option(program, "log-format", options.log_format);
    program.footer(footer());
    program.require_subcommand(1);
    add_verbs(program, action);
}

}  // namespace larder::tools
