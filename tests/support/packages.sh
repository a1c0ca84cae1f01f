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
    tests) echo clang libclang-rt-14-dev libjemalloc-dev libcmocka-dev liblmdb-dev libpq-dev spin ;;
    models) echo tcc ;; # compiles the small models in no time; tests/model/run goes on without
    bench) echo libjemalloc-dev libcjson-dev ;;
    debugger) echo gdb ;;
    format) echo clang-format-14 ;;
    coverage) echo python3 ;;
    budget) echo valgrind ;;    # counts instructions
    maps) # the best rivals of the benchmark; it goes on without
        echo liburcu-dev libtbb-dev libcuckoo-dev liblmdb-dev libconcurrentqueue-dev
        ;;
    postgres) echo postgresql-15 pgbouncer ;; # servers, which are neither started nor enabled; their tests are skipped without
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

# What root does to install packages that bring services: none of these is started, now or when the system starts, and no
# cluster is made. Whatever says so is put back at the end; if this is killed, the policy refuses nobody any more, and the
# next installation puts the old one back.
# shellcheck disable=SC2016 # root's shell has the variables
packages_install_quietly='
    set -u
    policy=/usr/sbin/policy-rc.d
    clusters=/etc/postgresql-common/createcluster.d
    services=
    case " $* " in *" pgbouncer "*) services="$services pgbouncer" ;; esac
    if [ ! -x /usr/bin/pg_createcluster ]; then services="$services postgresql"; fi
    put_back()
    {
        if [ -e $policy.latchkey ]; then
            mv -f $policy.latchkey $policy
        elif grep -qs "^# latchkey:" $policy; then
            rm -f $policy
        fi
        rm -f $clusters/latchkey.conf
        rmdir $clusters 2>/dev/null
    }
    put_back
    trap put_back EXIT
    trap "exit 130" INT TERM HUP
    mkdir -p $clusters
    echo "create_main_cluster = false" >$clusters/latchkey.conf
    [ ! -e $policy ] || mv $policy $policy.latchkey
    cat >$policy.new <<END
#!/bin/sh
# latchkey: its tests need these programs, not the services. For as long as they are being installed.
kill -0 $$ 2>/dev/null || exit 0
case " postgresql$services " in *" \$1 "*) exit 101 ;; esac
[ ! -x $policy.latchkey ] || exec $policy.latchkey "\$@"
exit 0
END
    chmod 755 $policy.new
    mv $policy.new $policy
    apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" || exit
    for service in $services; do
        update-rc.d "$service" disable
        deb-systemd-helper disable "$service.service"
    done >/dev/null 2>&1
    [ -z "$services" ] || echo "installed, not enabled:$services"
'

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
    case " $packages_missing " in
    *" postgresql-"* | *" pgbouncer "*) set -- sh -c "$packages_install_quietly" sh ;;
    *) set -- apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends ;;
    esac
    # shellcheck disable=SC2086 # words are wanted
    if ! $packages_root env DEBIAN_FRONTEND=noninteractive "$@" $packages_missing; then
        umask "$packages_umask"
        echo "could not install:$packages_missing" >&2
        return 1
    fi
    umask "$packages_umask"
}
