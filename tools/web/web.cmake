# The dashboard's page, made a part of the executable, and what npm fetches for it.

# larder_npm(VARIABLE NAME DIRECTORY): node_modules of the packages that DIRECTORY/package-lock.json names, fetched into
# the build directory when that lock is new there; empty, and `VARIABLE_why` says why, where that is not possible.
function(larder_npm variable name directory)
    set(place ${PROJECT_BINARY_DIR}/npm/${name})
    set(${variable} "" PARENT_SCOPE)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${directory}/package-lock.json)
    file(SHA256 ${directory}/package-lock.json lock)
    if(EXISTS ${place}/fetched)
        file(READ ${place}/fetched fetched)
    endif()
    if(NOT "${fetched}" STREQUAL lock)
        find_program(NPM_PROGRAM npm)
        mark_as_advanced(NPM_PROGRAM)
        if(NOT NPM_PROGRAM)
            set(${variable}_why "there is no npm" PARENT_SCOPE)
            return()
        endif()
        file(COPY ${directory}/package.json ${directory}/package-lock.json DESTINATION ${place})
        execute_process(COMMAND ${NPM_PROGRAM} ci --ignore-scripts --no-audit --no-fund --prefer-offline
                --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=20000
            WORKING_DIRECTORY ${place} TIMEOUT 120 RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE complaint)
        if(NOT failed EQUAL 0)
            string(REGEX MATCH "npm (ERR!|error) [^\n]*" complaint "${complaint}")
            if(NOT complaint)
                set(complaint "it ended with ${failed}")
            endif()
            set(${variable}_why "npm could not fetch ${name} (${complaint})" PARENT_SCOPE)
            return()
        endif()
        file(WRITE ${place}/fetched ${lock})
    endif()
    set(${variable} ${place}/node_modules PARENT_SCOPE)
endfunction()

# larder_web_source(VARIABLE): the source file, made at build time, that holds the page.
function(larder_web_source variable)
    set(here ${PROJECT_SOURCE_DIR}/tools/web)
    set(pages ${here}/index.html ${here}/icon.svg ${here}/style.css)
    file(GLOB scripts CONFIGURE_DEPENDS ${here}/*.js)
    larder_npm(modules charts ${here})
    if(modules)
        set(charts ${modules}/uplot/dist/uPlot.iife.min.js ${modules}/uplot/dist/uPlot.min.css)
    else()
        message(STATUS "tools: the dashboard is without its charts: ${modules_why}")
        set(charts "")
    endif()
    set(made ${CMAKE_CURRENT_BINARY_DIR}/web_files.cpp)
    add_custom_command(OUTPUT ${made}
        COMMAND ${CMAKE_COMMAND} "-DFILES=${pages};${scripts}" "-DCHARTS=${charts}" -DMADE=${made}
            -DVERSION=${PROJECT_VERSION} -P ${here}/embed.cmake
        DEPENDS ${pages} ${scripts} ${charts} ${here}/embed.cmake VERBATIM)
    set(${variable} ${made} PARENT_SCOPE)
endfunction()
