// The stream of one database's notices: its names, and how it stands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/nats/connection.hpp"
#include "core/outbox_position.hpp"

namespace larder::nats {

/// Of a database's name, made such that NATS takes them: TOKEN is its XXH3 of 64 bits, in hex. All hosts must give the
/// database the same name.
struct StreamNames {
    explicit StreamNames(std::string_view database);
    std::string stream;     ///< LARDER-TOKEN
    std::string subjects;   ///< larder.TOKEN.>: all that the stream takes
    std::string notices;    ///< larder.TOKEN.notice
    std::string positions;  ///< larder.TOKEN.position
    std::string looks;      ///< larder-look.TOKEN: who asks what was looked at; not in the stream
    std::string leases;     ///< larder-lease.TOKEN.: before the key; not in the stream
};

struct StreamState {
    std::string identity;           ///< name and time of creation: another one is another stream, which numbers anew
    std::uint64_t first = 0;        ///< sequence of the first message; where there is none, last + 1
    std::uint64_t last = 0;         ///< 0: there was none
    std::int64_t last_time_ns = 0;  ///< of the last message, by the server's clock
    std::int64_t copies = 1;        ///< how many servers keep it
    std::vector<std::string> late_servers{};  ///< whose copy is not whole now, or that are away
};

/// nullopt: there is no such stream. Throws SourceError; also where a stream of that name takes other subjects, whose
/// messages would leave gaps, or forgets or refuses messages as ours does not.
std::optional<StreamState> find_stream(const Connection& connection, const StreamNames& names);

/// Of the outbox, as the last message about it says; nullopt: there is none. Throws SourceError.
std::optional<OutboxPosition> published_position(const Connection& connection, const StreamNames& names);

/// What a stream is called, and what it takes.
struct StreamTitle {
    std::string name, description, subjects;
};

/// Throws SourceError where it is not there, or is another than Larder makes.
void require_stream(const Connection& connection, const StreamTitle& title, const jsStreamConfig& wanted);

/// Of a stream that is there, and was made while there were fewer servers: raised to three, where that can be now. The
/// servers take their time for that.
enum class Copies : std::uint8_t { kept, raised };

/// On three servers, or on one where there are not so many; or the one that is there, whose other limits are left as
/// they are. Throws SourceError, also where that one would lose or refuse what comes.
Owned<jsStreamInfo> add_stream(const Connection& connection, const StreamTitle& title, jsStreamConfig config,
                               Copies copies);

/// Made where it is absent: in files, an hour's messages, of which the oldest go first. Throws as `add_stream`.
StreamState make_stream(const Connection& connection, const StreamNames& names, Copies copies = Copies::kept);

/// When the message of that sequence was stored, by the server's clock; nullopt: it is not there. Throws SourceError.
std::optional<std::int64_t> time_of(const Connection& connection, const StreamNames& names, std::uint64_t sequence);

}  // namespace larder::nats
