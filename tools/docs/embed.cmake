# Writes a C++ source with the pages of this directory in it.
#   cmake -D OUT=help_pages.cpp -P embed.cmake
file(GLOB pages ${CMAKE_CURRENT_LIST_DIR}/*.md)
list(SORT pages)
set(rows "")
foreach(page IN LISTS pages)
    get_filename_component(name ${page} NAME_WE)
    file(READ ${page} text)
    # One raw literal may have 64 KiB; no page comes near it.
    string(APPEND rows "    HelpPage{\"${name}\", R\"larder(${text})larder\"},\n")
endforeach()
file(WRITE ${OUT} "#include \"tools/help_pages.hpp\"

#include <array>

namespace larder::tools {
namespace {

constexpr std::array pages{
${rows}};

}  // namespace

std::span<const HelpPage> help_pages() { return pages; }

}  // namespace larder::tools
")
