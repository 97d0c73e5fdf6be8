# Run by cpack between installing and packing: what was installed as anywhere else becomes as Debian has it.
set(program ${CPACK_TEMPORARY_DIRECTORY}/program)
set(development ${CPACK_TEMPORARY_DIRECTORY}/development)
set(source ${CMAKE_CURRENT_LIST_DIR})
if(NOT EXISTS ${program}/usr/bin/larder OR NOT EXISTS ${development}/usr/include/larder)
    message(FATAL_ERROR "deb: ${CPACK_TEMPORARY_DIRECTORY} has no program and development in it")
endif()

function(run)
    execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Units know where the program is.
set(unit ${program}/usr/lib/systemd/system/larder.service)
file(READ ${unit} text)
string(REGEX REPLACE "ExecStart=[^ ]*/larder " "ExecStart=/usr/bin/larder " text "${text}")
file(WRITE ${unit} "${text}")
file(MAKE_DIRECTORY ${program}/lib/systemd)
file(RENAME ${program}/usr/lib/systemd/system ${program}/lib/systemd/system)
file(REMOVE_RECURSE ${program}/usr/lib/systemd)

file(MAKE_DIRECTORY ${program}/etc/larder ${program}/usr/share/zsh/vendor-completions)
file(RENAME ${program}/usr/share/doc/larder/larder.toml ${program}/etc/larder/larder.toml)
file(RENAME ${program}/usr/share/zsh/site-functions/_larder ${program}/usr/share/zsh/vendor-completions/_larder)
file(REMOVE_RECURSE ${program}/usr/share/zsh/site-functions)

file(GLOB pages ${program}/usr/share/man/man1/*.1)
run(gzip -9n ${pages})
run(strip --strip-debug ${development}/usr/lib/liblarder.a ${development}/usr/lib/liblarder_statistics.a)

set(packages program/larder development/liblarder-dev)
set(fleet ${CPACK_TEMPORARY_DIRECTORY}/fleet)
if(EXISTS ${fleet})
    list(APPEND packages fleet/larder-fleet)
    file(MAKE_DIRECTORY ${fleet}/lib/systemd)
    file(RENAME ${fleet}/usr/lib/systemd/system ${fleet}/lib/systemd/system)
    file(REMOVE_RECURSE ${fleet}/usr/lib/systemd)
endif()

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # or SOURCE_DATE_EPOCH
foreach(pair IN LISTS packages)
    string(REPLACE / ";" pair ${pair})
    list(GET pair 0 component)
    list(GET pair 1 package)
    set(documents ${CPACK_TEMPORARY_DIRECTORY}/${component}/usr/share/doc/${package})
    file(WRITE ${documents}/changelog.Debian "larder (${CPACK_PACKAGE_VERSION}-1) bookworm; urgency=medium\n\n"
        "  * Built from the sources of this version.\n\n -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
    run(gzip -9n ${documents}/changelog.Debian)
    file(COPY_FILE ${source}/copyright ${documents}/copyright)
endforeach()
file(COPY ${source}/README.Debian DESTINATION ${program}/usr/share/doc/larder)
