// Roff: the text of a man page (man(7) macros) while it is being written.
#pragma once

#include <string>
#include <string_view>

namespace larder::tools::manual {

/// `text` for a line of a man page: nothing in it is a request or an escape.
std::string roff_escaped(std::string_view text);

/// As roff_escaped, for what is typed: its dashes, quotes and tildes stay what they are when they are copied.
std::string roff_typed(std::string_view text);

class Roff {
public:
    /// Begins the page: its header line and NAME. `date` as YYYY-MM-DD.
    Roff(std::string_view page, std::string_view summary, std::string_view date, std::string_view version);

    void section(std::string_view title);
    void subsection(std::string_view title);
    /// A paragraph; what is `in backquotes` is typed, and bold.
    void paragraph(std::string_view text);
    /// An indented item below its heading, which is roff already.
    void item(std::string_view roff_heading, std::string_view text);
    /// Lines as they are typed.
    void typed_block(std::string_view lines);
    /// A line of roff.
    void line(std::string_view roff);

    const std::string& text() const { return text_; }

private:
    void begin(std::string_view macro, std::string_view title);
    void fill(std::string_view text);

    std::string text_;
    bool is_section_begun_ = false;  // by the last line
};

}  // namespace larder::tools::manual
