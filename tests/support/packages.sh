# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# The one list of packages (Debian 12), and what installs them. Sourced by tests/run and bench/run:
#
#     . tests/support/packages.sh
#     need_packages build tests
#
# Asks for nothing, and needs neither network nor root, when all is there.

# The packages of a group, one line.
packages_of()
{
    case $1 in
    build) echo gcc g++ libc6-dev make cmake pkgconf libck-dev libxxhash-dev ;;
    tests) echo clang libclang-rt-14-dev libjemalloc-dev libcmocka-dev liblmdb-dev spin ;;
    models) echo tcc ;; # compiles the small models in no time; tests/model/run goes on without
    bench) echo libjemalloc-dev libcjson-dev ;;
    debugger) echo gdb ;;
    format) echo clang-format-14 ;;
    coverage) echo python3 ;;
    budget) echo valgrind ;;    # counts instructions
    maps) # the best rivals of the benchmark; it goes on without
        echo liburcu-dev libtbb-dev libcuckoo-dev liblmdb-dev libconcurrentqueue-dev
        ;;
    browser) echo chromium fonts-dejavu-core ;; # opens the benchmark's report; large
    *)
        echo "no such group of packages: $1" >&2
        return 1
        ;;
    esac
}

package_is_installed()
{
    dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# need_packages GROUP...: 0 if all packages of the groups are there, at the end.
need_packages()
{
    packages_wanted=
    for packages_group in "$@"; do
        packages_wanted="$packages_wanted $(packages_of "$packages_group")" || return 1
    done
    if ! command -v dpkg-query >/dev/null 2>&1; then
        echo "not a Debian system; these are taken to be there:$packages_wanted" >&2
        return 0
    fi

    packages_missing=
    for packages_one in $packages_wanted; do
        package_is_installed "$packages_one" || packages_missing="$packages_missing $packages_one"
    done
    [ -n "$packages_missing" ] || return 0

    packages_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1 || ! sudo -v; then
            echo "please install, as root: apt-get install --no-install-recommends$packages_missing" >&2
            return 1
        fi
        packages_root="sudo"
    fi
    echo "installing:$packages_missing"
    # The lists of a new machine are empty, and old lists name files that are gone.
    # Scripts of packages write files of the system: for everybody, whatever the caller's umask.
    packages_umask=$(umask)
    umask 022
    $packages_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >/dev/null ||
        echo "apt-get update failed; going on with the lists that are there" >&2
    # shellcheck disable=SC2086 # words are wanted
    if ! $packages_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends $packages_missing; then
        umask "$packages_umask"
        echo "could not install:$packages_missing" >&2
        return 1
    fi
    umask "$packages_umask"
}
