# SPDX-License-Identifier: MIT
#
# Writes bench_page.h: the page's template, style and script as texts, so that the program needs no files beside it.
#
#     cmake -DSOURCE=folder -DOUTPUT=file -P embed.cmake
cmake_minimum_required(VERSION 3.25)
set(text "/* Written by embed.cmake. */\n")
foreach(kind html css js)
    file(READ ${SOURCE}/page.${kind} bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "(................................................................................)" "\\1\n"
           bytes "${bytes}")
    string(APPEND text "static const unsigned char page_${kind}[] = {\n${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
