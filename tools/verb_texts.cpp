#include "tools/verb_texts.hpp"

#include <algorithm>

namespace larder::tools {
namespace {

std::vector<VerbText> service_texts() {
    return {
        {"serve",
         "The service: a supervisor, and workers that answer over HTTP from one shared cache. A worker that dies is "
         "replaced. A change in the database, whoever makes it, is announced to all workers as soon as it is "
         "committed: triggers write it into an outbox, which the supervisor reads.\n\n"
         "It stays in the foreground. Without a key file everybody is let in, and only a loopback address is served. "
         "`/healthz` answers 200 once a worker listens and all changes were announced.\n\n"
         "Started by systemd it tells it when it is ready, keeps its watchdog content while a worker listens, takes "
         "the listening socket of a socket unit in place of `--listen`, and logs to the journal.",
         {{"Serve a database on the usual port.", "larder serve --db school.db"},
          {"Ask it, with a token.",
           "token=$(larder token --user 7 --role teacher --auth-key-file key)\n"
           "curl -H \"Authorization: Bearer $token\" http://127.0.0.1:8080/api/assignments/1/analytics/"}},
         {"import", "token", "doctor", "listen"}},
        {"import",
         "Reads assignments and submissions from CSV files and stores them, in one transaction: all rows or none. An "
         "id that is there already is replaced. A bad row is named with its file, its line and its reason. The "
         "database is made when it is absent. A running service announces the changes as after any other.",
         {{"Make a database of two files.",
           "larder import --db school.db --assignments assignments.csv --submissions submissions.csv.gz"}},
         {"serve", "analytics"}},
    };
}

std::vector<VerbText> statistics_texts() {
    return {
        {"analytics",
         "Prints the same document as the service gives, through the same cache: a hit where it is there, else "
         "computed and stored. Changes that nobody has announced yet are announced first when no service runs. An "
         "assignment that is not there is exit code 1.",
         {{"The statistics of an assignment.", "larder analytics 1 --db school.db"},
          {"The same, and where they came from.", "larder analytics 1 --db school.db --json"}},
         {"hit-rate", "serve"}},
        {"hit-rate",
         "How often the statistics of an assignment were answered from the cache in the last 24 hours: the running "
         "hour and the 23 before it, of all processes of the host. It counts nothing itself.",
         {{"One line.", "larder hit-rate 1"}, {"For a script.", "larder hit-rate 1 --json"}},
         {"analytics", "stat"}},
        {"warm",
         "Computes what is missing in the cache before anybody asks: the named assignments, those of a teacher, the "
         "active ones, or all. It counts neither hits nor misses, and what was warmed together does not expire "
         "together. Ctrl-C leaves a job where it is: a service, or `--job`, goes on with it.",
         {{"Two assignments.", "larder warm 1 2 --db school.db"},
          {"What was asked for today, or has submissions of this week.", "larder warm --active 7d --db school.db"},
          {"A job for the service, without waiting for it.", "larder warm --all --detach --db school.db"}},
         {"serve", "analytics"}},
        {"triggers",
         "Prints the SQL that makes a table of another program's database write its changes to the outbox, and the "
         "tables that a service needs beside it; with `--install` it is run. Once for each table that the views of "
         "`larder serve --schema` read, and again when it gets a unique index; harmless when repeated. Rows that "
         "REPLACE removes are announced, too. Without `--table`: the tables that a service needs alone, for triggers "
         "written by hand.",
         {{"Print it.", "larder triggers --db other.db --table grades --assignment-column task_id"},
          {"Run it.", "larder triggers --db other.db --table grades --assignment-column task_id --install"}},
         {"serve"}},
        {"token",
         "Makes a signed token for the HTTP service and prints it. The key file has at least 32 bytes and mode 0600; "
         "the service must have been started with the same file. A line `kid:secret` names a key; with two lines both "
         "are accepted, and the first one signs.",
         {{"A key, and a teacher's token for an hour.",
           "(umask 077; head -c 32 /dev/urandom | base64 >key)\n"
           "larder token --user 7 --role teacher --auth-key-file key"},
          {"A token that is valid for a week.", "larder token --user 1 --role admin --expires 7d --auth-key-file key"}},
         {"serve"}},
        {"listen",
         "Takes invalidations from the cache's socket, as a service does, for hosts where only other programs use the "
         "cache. One process of the host listens for a cache; another one waits for its turn. With `--db` it relays "
         "the outbox of that database, too.",
         {{"Listen until Ctrl-C.", "larder listen"},
          {"Tell it by a line of text.",
           "printf 'invalidate assignment_stats:1\\n' | nc -N -U /run/larder/default.sock"}},
         {"invalidate", "serve"}},
    };
}

std::vector<VerbText> looking_texts() {
    return {
        {"ls",
         "The caches of the directory, one a line: size, entries, processes that have it open, and whether somebody "
         "listens on its socket.",
         {{"All caches.", "larder ls"}, {"Their names alone.", "larder ls --json | sed 's/^{\"name\":\"//; s/\".*//'"}},
         {"stat", "rm"}},
        {"stat",
         "Sizes, counters and processes of a cache, read without a lock: neither the order of eviction nor a counter "
         "changes, and it works while others hang. Each counter stands beside its meaning.\n\n"
         "With `--watch` it prints a line of rates each so often, as vmstat does: the first is the mean since the "
         "cache was made. A cache that is removed meanwhile is waited for; one that replaces it begins anew, with "
         "`replaced` true in JSON.",
         {{"Look once.", "larder stat"}, {"Ten lines of rates, one a second.", "larder stat --watch 1s --count 10"}},
         {"top", "dump", "doctor", "ls"}},
        {"top",
         "A live view of a cache on a terminal: rates, hit rate and misses by reason, entries and bytes, the hottest "
         "keys and prefixes, processes, and a verdict in words where something is wrong. `q` ends it, `h` shows all "
         "keys. A cache that is removed meanwhile is waited for. Without a terminal, `larder stat --watch` prints the "
         "same rates line by line.\n\n"
         "A look goes through at most 16,384 entries of the key table, takes no lock and counts nothing. A larger "
         "table "
         "is walked in several looks, and the rates of prefixes are as old as such a walk. Only keys with counts of "
         "their own (`--tracked-keys`) are seen.",
         {{"The usual cache.", "larder top"},
          {"Another one, five times a second.", "larder top -c pages --interval 200ms"}},
         {"stat", "dump"}},
        {"dump",
         "Lists entries with their size, age, time to live, last use, hits of the last 24 hours and tags. Expired, "
         "invalidated and damaged ones are left out unless they are asked for. It takes no lock and counts nothing; "
         "of a cache that changes meanwhile, each entry is shown as it was at some moment.",
         {{"Ten entries of a namespace.", "larder dump --prefix assignment_stats: --limit 10"},
          {"Everything, one JSON object a line.", "larder dump --json"}},
         {"get", "stat"}},
        {"get",
         "Prints the value that is stored under a key, byte for byte. It counts no hit and no use. An absent key is "
         "exit code 1.",
         {{"The value.", "larder get assignment_stats:1"},
          {"What is known of the entry.", "larder get assignment_stats:1 --meta"}},
         {"dump", "put"}},
        {"doctor",
         "Examines a cache and its surroundings, read-only, and says for each finding what it means and what to do: "
         "stopped processes that hold a lock or a pin, dead ones, files that others may write, a cache that is too "
         "small for what is asked of it, damage. It may be run at any time on a busy cache.",
         {{"Is all well? Exit code 1: there are findings.", "larder doctor"},
          {"All bytes, too.", "larder doctor --checksums"}},
         {"stat", "advise"}},
        {"record",
         "Writes down what is asked of a live cache, for `larder advise` and `larder replay`: a sample of its keys "
         "with all of their requests, each key by its hash. It only reads the counts that the cache keeps anyway.",
         {{"A minute of a cache's life.", "larder record --time 1m --output trace.csv"}},
         {"advise", "replay"}},
        {"advise",
         "Reads a trace once and says what share of its requests a cache of each size would have answered, and how "
         "large the smallest one is that reaches the wanted share.",
         {{"How large for 95 %?", "larder advise trace.csv --hit-ratio 0.95"},
          {"From a recording of one key in 64.", "larder advise trace.csv --sampled 64"}},
         {"record", "replay"}},
        {"replay",
         "Gives a trace to a real cache of the wanted size, with the trace's time as the clock, and counts hits and "
         "misses. Nothing of it is left behind.",
         {{"A cache of exactly a thousand entries.", "larder replay trace.csv --entries 1000"},
          {"A cache of a size.", "larder replay trace.csv --size 64MiB --ttl 5m"}},
         {"advise", "record"}},
    };
}

std::vector<VerbText> changing_texts() {
    return {
        {"put",
         "Stores what comes on standard input under a key. The value carries the number of the last change that was "
         "announced when the command began: what is invalidated meanwhile is not stored. Anything but `stored` is "
         "exit code 3, and says why.",
         {{"A value for five minutes, with a tag.",
           "echo '<h1>hello</h1>' | larder put page:1 --ttl 5m --tag author:7"},
          {"Known to be absent.", "larder put page:2 --negative"}},
         {"get", "invalidate"}},
        {"invalidate",
         "Announces that keys, all entries with a tag, all keys of a namespace, or everything has changed. When it "
         "returns, no process of the host is served what was cached before, and nothing that was being computed from "
         "older data is stored. It goes through the socket of whoever listens, else straight into the segment.",
         {{"Two keys.", "larder invalidate page:1 page:2"},
          {"All of an author's.", "larder invalidate --tag author:7"},
          {"Everything.", "larder invalidate --all"}},
         {"put", "listen"}},
        {"config",
         "Prints every option with its value and where that comes from: a flag, a variable, the configuration file or "
         "the default. The file is the one that `--config` or LARDER_CONFIG names, else /etc/larder/larder.toml; a "
         "flag "
         "beats a variable, which beats the file.\n\n"
         "With `--check` it examines the file as a service would, and names all that is wrong, unknown keys with the "
         "nearest known one. With `--example` it prints a commented file with every option.",
         {{"What is in force, and where it comes from.", "larder config"},
          {"A file to begin with, and whether it is right.",
           "larder config --example >larder.toml\nlarder config --check --config larder.toml"}},
         {"serve"}},
        {"help",
         "Prints a page of the documentation: embed, for programs in C++; operate, for a live host; integrate, for the "
         "service and its database; http, its interface; fleet, for many hosts. Of a verb it "
         "prints the same as `larder VERB --help`.",
         {{"Which pages there are.", "larder help"}, {"One of them.", "larder help operate"}},
         {}},
        {"rm",
         "Removes the files of a cache. It refuses while processes have the cache open; with `--force` they lose it, "
         "are served nothing from it any more, and make a new one.",
         {{"Remove what nobody uses.", "larder rm -c default"}},
         {"ls"}},
    };
}

std::vector<VerbText> all_texts() {
    std::vector<VerbText> texts = {
        {"",
         "Larder is one cache per host, in shared memory: every process reads it without a lock, a copy, a system call "
         "or a server in between, and is told at once when something it holds has changed. This program looks at such "
         "caches and changes them, and serves statistics of school assignments out of one.\n\n"
         "The result is printed on standard output and nothing else; logs, progress and errors go to standard error. "
         "`larder VERB --help` is short, the page of each verb is long.",
         {{"The caches of this host, and how the usual one does.", "larder ls\nlarder stat"},
          {"Is all well?", "larder doctor"}},
         {}}};
    for (std::vector<VerbText> part : {service_texts(), statistics_texts(), looking_texts(), changing_texts()})
        for (VerbText& text : part) texts.push_back(std::move(text));
    return texts;
}

}  // namespace

std::span<const VerbText> verb_texts() {
    static const std::vector<VerbText> texts = all_texts();
    return texts;
}

const VerbText* verb_text(std::string_view verb) {
    const auto texts = verb_texts();
    const auto found =
        std::find_if(texts.begin(), texts.end(), [verb](const VerbText& row) { return row.verb == verb; });
    return found == texts.end() ? nullptr : &*found;
}

}  // namespace larder::tools
