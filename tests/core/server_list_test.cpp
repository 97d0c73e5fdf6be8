// NATS servers as a user names them.
#include "core/server_list.hpp"

#include <catch2/catch.hpp>

#include "core/submission_source.hpp"

using namespace larder;

TEST_CASE("servers are shown without what lets one in") {
    const ServerList list = ServerList::parse("nats://a:p@s:s/w?o#r%41@n1:4222, tls://TOKEN@n2,[::1]:4222,n3/,");
    CHECK(list.shown == "nats://n1:4222,tls://n2,[::1]:4222,n3");
    CHECK(list.urls ==
          std::vector<std::string>{"nats://a:p@s:s/w?o#r%41@n1:4222", "tls://TOKEN@n2", "[::1]:4222", "n3"});
    CHECK(ServerList::parse("u:p@n1:4222,n2").shown == "n1:4222,n2");
}

TEST_CASE("what may be part of a password is refused, and not shown") {
    for (const char* text :
         {"", " , ", "nats://", "nats://doc:SECRETa,SECRETb@n1:4222", "nats://SECRETTOKEN,x@n1:4222",
          "nats://[::1]:4222,nats://SECRETa,SECRETb:SECRETc@n1", "nats://doc:SECRET", "nats://doc:SECRET,SECRET2",
          "nats://doc:SECRET;n1:4222", "nats://n1:4222?user=doc&password=SECRET", "http://SECRET@n1",
          "nats://[::1:4222", "nats://[SECRET]:4222"}) {
        INFO(text);
        CHECK_THROWS_WITH(ServerList::parse(text),
                          Catch::Contains("write nats://HOST:PORT") && !Catch::Contains("SECRET"));
    }
}
