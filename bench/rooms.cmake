# SPDX-License-Identifier: MIT
#
# latchkey_bench_rooms(SOURCES LIBRARIES): the files of all rooms, and the libraries that those need that are optional.
#
# Every .c or .cpp in contenders/ and workloads/ is one contender or workload. It names itself in the registry by a
# constructor (BENCH_CONTENDER, BENCH_WORKLOAD), so nothing lists it. One that needs more than the benchmark has says so in a
# line of its first comment, and is left out where that is not found:
#
#     Needs: pkg-config MODULE...     all of them
#     Needs: header FILE...           one of them
#     Needs: target TARGET            of this build
function(latchkey_bench_needs FILE FOUND LIBRARIES)
    file(STRINGS ${FILE} line REGEX "^( \\*|//) Needs: " LIMIT_COUNT 1)
    set(found TRUE)
    set(libraries "")
    if(line)
        string(REGEX REPLACE "^.*Needs: " "" line "${line}")
        separate_arguments(words UNIX_COMMAND "${line}")
        list(POP_FRONT words kind)
        string(MAKE_C_IDENTIFIER "LATCHKEY_BENCH_${words}" name)
        if(kind STREQUAL pkg-config)
            pkg_check_modules(${name} QUIET IMPORTED_TARGET ${words})
            set(libraries PkgConfig::${name})
            set(found ${${name}_FOUND})
        elseif(kind STREQUAL header)
            find_path(${name} NAMES ${words})
            mark_as_advanced(${name})
            set(found ${${name}})
        elseif(NOT kind STREQUAL target)
            message(FATAL_ERROR "${FILE}: Needs: ${line}: not pkg-config, header or target")
        elseif(NOT TARGET ${words})
            set(found FALSE)
        endif()
    endif()
    set(${FOUND} ${found} PARENT_SCOPE)
    set(${LIBRARIES} "${libraries}" PARENT_SCOPE)
endfunction()

function(latchkey_bench_rooms SOURCES LIBRARIES)
    find_package(PkgConfig REQUIRED QUIET)
    set(here ${CMAKE_CURRENT_SOURCE_DIR})
    file(GLOB sources CONFIGURE_DEPENDS ${here}/driver/*.c ${here}/record/*.c ${here}/page/*.c ${here}/*/parts/*.c)
    list(REMOVE_ITEM sources ${here}/driver/main.c)
    file(GLOB choice CONFIGURE_DEPENDS ${here}/contenders/*.c ${here}/contenders/*.cpp ${here}/workloads/*.c)
    set(libraries "")
    foreach(file IN LISTS choice)
        latchkey_bench_needs(${file} found more)
        if(found)
            list(APPEND sources ${file})
            list(APPEND libraries ${more})
        endif()
    endforeach()
    list(REMOVE_DUPLICATES libraries)
    set(${SOURCES} ${sources} PARENT_SCOPE)
    set(${LIBRARIES} ${libraries} PARENT_SCOPE)
endfunction()
