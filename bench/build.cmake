# SPDX-License-Identifier: MIT
#
# Writes bench_build.h: what a record says about the build. Run at every build, so that the commit is that of the sources;
# the file changes only when its text does.
#
#     cmake -DSOURCE=folder -DOUTPUT=file -DFLAGS=text -DCK=version -P build.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0)
    set(commit "")
endif()
string(STRIP "${FLAGS}" FLAGS)
foreach(text FLAGS CK commit)
    string(REGEX REPLACE "([\\\"])" "\\\\\\1" ${text} "${${text}}")
endforeach()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "/* Written by build.cmake. */
#define BENCH_BUILD_FLAGS \"@FLAGS@\"
#define BENCH_BUILD_CK \"@CK@\"
#define BENCH_BUILD_COMMIT \"@commit@\"
" @ONLY)
