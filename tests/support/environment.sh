# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# The one place that decides what scripts see of their caller's surroundings. Sourced first by each script that is started
# by hand, by ctest or by CI: what it prints and finds depends on no locale, time zone, home, terminal or standard input.
# The caller's umask is left alone: it decides who may read a report. Tests have one of their own (tests/run).
LC_ALL=C.UTF-8
TZ=UTC
TERM=dumb
export LC_ALL TZ TERM
# A language beside the locale; where `cd` goes and prints; where an installation goes; colours in what is searched for
# words; what a shell reads first.
unset LANG LANGUAGE CDPATH DESTDIR CLICOLOR_FORCE GREP_OPTIONS GREP_COLORS GREP_COLOR GCC_COLORS POSIXLY_CORRECT ENV BASH_ENV
# Programs that write to a home of their own; nothing here reads what they keep there.
[ -n "${HOME:-}" ] || export HOME=/nonexistent
# folder_without_space WANTED: WANTED, or a new folder where its path has a space. The flags of pkg-config are words to a
# shell, so a program that is built with them needs an installation without one. Who calls it removes $folder_made.
folder_made=
folder_without_space()
{
    folder=$1
    case $folder in
    *[[:space:]]*) folder=$(mktemp -d) && folder_made=$folder && folder=$folder/work ;;
    esac
}

# A closed standard input would be the number of the first file that a program opens.
if ! (: <&0) 2>/dev/null; then
    exec </dev/null
fi
