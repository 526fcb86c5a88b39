#!/usr/bin/env bash
# Installs Shardis as a service of systemd, or removes it. As often as wanted: what is there already is brought up to
# date, and the configuration and the data stay.
#
#   deploy/install.sh [--prefix /opt/shardis] [--shards N]     then: systemctl start shardis.target
#   deploy/install.sh --uninstall [--prefix /opt/shardis]      all but the data, /var/lib/shardis
#
#   --prefix DIR   where the environment (venv) is made
#   --shards N     how many processes hold the data; at the first installation one a core
#   --ready-made   DIR is an environment that has Shardis already: pip is not asked
#
# PYTHON=/usr/bin/python3.12 names another Python, 3.11 or later. The C compiler compiles what runs per command, where
# there is one.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
sources="$root/deploy/systemd"
prefix=/opt/shardis shards="" uninstall=false ready_made=false
units=/etc/systemd/system conf=/etc/shardis/shardis.conf data=/var/lib/shardis
names=(shardis.target shardis.socket shardis.slice shardis-prepare.service shardis-router.service
    shardis-shard@.service shardis-metrics.service shardis-wait-start.service shardis-wait-stop.service)

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case "$1" in
        --prefix | --shards)
            [ $# -ge 2 ] || fail "$1 needs a value"
            if [ "$1" = --prefix ]; then prefix="$2"; else shards="$2"; fi
            shift
            ;;
        --uninstall) uninstall=true ;;
        --ready-made) ready_made=true ;;
        -h | --help)
            sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        *) fail "unknown option $1, see --help" ;;
    esac
    shift
done
[[ "$prefix" =~ ^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$ ]] || fail "--prefix is a path from / on, of plain letters: $prefix"
[[ "$shards" =~ ^([1-9][0-9]*)?$ ]] || fail "--shards is a number: $shards"
[ "$(id -u)" = 0 ] || fail "only root can do that"
command -v systemctl >/dev/null || fail "there is no systemd: see README.md for a server without it"

uninstall() {
    # All by name: a target that has not started yet is not waited for.
    systemctl stop shardis.target shardis.socket shardis-router.service 'shardis-shard@*' shardis-metrics.service shardis-prepare.service \
        shardis.slice 2>/dev/null || true
    systemctl --quiet disable shardis.target 2>/dev/null || true
    rm -rf "$units/shardis.target.wants" "$units"/shardis{.socket,.slice,-router.service,-metrics.service,-shard@*.service}.d
    rm -f "${names[@]/#/$units/}" /etc/sysusers.d/shardis.conf /etc/tmpfiles.d/shardis.conf
    systemctl daemon-reload
    systemctl reset-failed 'shardis*' 2>/dev/null || true
    if [ -f "$conf" ] && ! cmp -s "$conf" "$sources/shardis.conf"; then
        mkdir -p "$data"
        mv "$conf" "$data/shardis.conf.uninstalled" # Beside the data: it says how they were served.
    fi
    rm -rf /etc/shardis /run/shardis
    rm -f /usr/local/bin/shardis /usr/local/bin/shardis-apply
    if [ -e "$prefix/bin/shardis-apply" ] && [ -f "$prefix/pyvenv.cfg" ]; then # Never /usr, whatever --prefix says.
        rm -rf "$prefix"
    fi
    if id shardis >/dev/null 2>&1; then
        userdel shardis
    fi
    echo "Shardis is removed; its data is still in $data."
}

if [ "$uninstall" = true ]; then
    uninstall
    exit 0
fi

make_environment() {
    local python="${PYTHON:-python3}"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Shardis needs Python 3.11 or later: say PYTHON=/path/to/python3.11"
    [ -x "$prefix/bin/python" ] && "$prefix/bin/python" -c '' || "$python" -m venv --clear "$prefix"
    echo "Installing into $prefix; where there is a C compiler this takes some minutes ..."
    "$prefix/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$root"
}

[ "$ready_made" = true ] || make_environment
[ -x "$prefix/bin/shardis-apply" ] || fail "$prefix has no Shardis"
# The user of the service has to reach the interpreter, and units do not see homes.
case "$(realpath "$prefix/bin/python")" in
    /root/* | /home/* | /tmp/* | /run/user/*) fail "the service can't reach $(realpath "$prefix/bin/python"): say PYTHON=" ;;
esac

mkdir -p /etc/sysusers.d /etc/tmpfiles.d /usr/local/bin
install -m 644 "$sources/shardis.sysusers.conf" /etc/sysusers.d/shardis.conf
install -m 644 "$sources/shardis.tmpfiles.conf" /etc/tmpfiles.d/shardis.conf
for name in "${names[@]}"; do
    sed "s|/opt/shardis|$prefix|g" "$sources/$name" >"$units/$name.new"
    chmod 644 "$units/$name.new"
    mv "$units/$name.new" "$units/$name"
done
ln -sf "$prefix/bin/shardis" "$prefix/bin/shardis-apply" /usr/local/bin/
systemd-sysusers /etc/sysusers.d/shardis.conf
mkdir -p /etc/shardis
if [ ! -e "$conf" ]; then
    install -m 640 "$sources/shardis.conf" "$conf"
    shards="${shards:-$(nproc)}"
fi
systemd-tmpfiles --create /etc/tmpfiles.d/shardis.conf
systemctl daemon-reload
systemctl --quiet enable shardis.target
"$prefix/bin/shardis-apply" ${shards:+--shards "$shards"}
systemctl --quiet is-active shardis.target ||
    echo "Done. Start it with: systemctl start shardis.target (configuration: $conf)"
