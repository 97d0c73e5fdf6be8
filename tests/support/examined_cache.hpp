// A small cache that can be damaged, and what the doctor says about it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shm/doctor.hpp"
#include "shm/segment.hpp"
#include "tests/support/scoped_cache.hpp"

namespace larder::test {

/// The doctor looks through a read-only mapping, at the time of the cache's clock, and waits for nobody.
struct ExaminedCache {
    explicit ExaminedCache(Options options = {})
        : scoped(std::move(options)),
          segment(shm::Segment::attach(shm::locate(scoped.directory.path(), scoped.options.name, false))),
          view(segment->view()) {
        scoped.clock->set_ns(shm::system::coarse_ns());  // what the segment itself notes is by that clock
    }

    std::vector<shm::Finding> examine(bool checksums = false) {
        shm::Examination examination;
        examination.checksums = checksums;
        examination.now_ns = scoped.clock->now_ns();
        examination.pause = [this](std::int64_t ns) {
            waited_ns += ns;
            if (between_looks) between_looks();
        };
        return shm::examine(scoped.view(), examination);
    }
    std::optional<shm::Finding> finding(const std::string& name) {
        for (shm::Finding& one : examine())
            if (one.name == name) return std::move(one);
        return std::nullopt;
    }
    bool finds(const std::string& name) { return finding(name).has_value(); }

    ScopedCache scoped;
    std::unique_ptr<shm::Segment> segment;
    const shm::SegmentView view;          ///< writable
    std::function<void()> between_looks;  ///< called before each second look
    std::int64_t waited_ns = 0;           ///< asked for between looks, in all
};

}  // namespace larder::test
