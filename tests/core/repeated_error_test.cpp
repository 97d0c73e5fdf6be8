// Errors of a loop that tries again.
#include "core/repeated_error.hpp"

#include <catch2/catch.hpp>

using larder::RepeatedError;

TEST_CASE("each way in which something fails is news once until it works") {
    RepeatedError repeated;
    CHECK_FALSE(repeated.is_over());
    CHECK(repeated.is_news("away"));
    CHECK(repeated.is_news("silent"));
    CHECK_FALSE(repeated.is_news("away"));
    CHECK_FALSE(repeated.is_news("silent"));
    CHECK(repeated.is_over());
    CHECK_FALSE(repeated.is_over());
    CHECK(repeated.is_news("away"));
}

TEST_CASE("what failed long ago is news when it fails again") {
    RepeatedError repeated;
    const auto first = RepeatedError::Clock::now();
    CHECK(repeated.is_news("away", first));
    CHECK_FALSE(repeated.is_news("away", first + std::chrono::seconds(59)));
    CHECK_FALSE(repeated.is_news("away", first + std::chrono::seconds(118)));  // it went on failing
    CHECK(repeated.is_news("away", first + std::chrono::seconds(178)));
}

TEST_CASE("what fails now and then is over when it has worked for a while") {
    RepeatedError repeated;
    const auto first = RepeatedError::Clock::now();
    CHECK(repeated.is_news("away", first));
    CHECK_FALSE(repeated.is_over_at(first - std::chrono::seconds(1)));
    CHECK_FALSE(repeated.is_over_at(first + std::chrono::seconds(1)));
    CHECK_FALSE(repeated.is_news("away", first + std::chrono::seconds(2)));
    CHECK_FALSE(repeated.is_over_at(first + std::chrono::seconds(3)));
    CHECK(repeated.is_over_at(first + std::chrono::seconds(5)));
}

TEST_CASE("errors that are worded anew each time are a few lines") {
    RepeatedError repeated;
    std::size_t news = 0;
    for (int i = 0; i < 100; ++i) news += repeated.is_news("away since " + std::to_string(i) + " s") ? 1 : 0;
    CHECK(news == RepeatedError::most_texts);
}
