#!/bin/sh
# Installs CyxMake from the source tree that this script lies in, into an environment of its own.
# Run it from a checkout or an unpacked release; it fetches nothing but Python packages, by pip.
set -eu

usage() {
    cat <<'END'
Usage: deploy/install.sh [--user | --system] [--service coordinator|worker]... [options]

  --user             for you alone: ~/.local/share/cyxmake, programs in ~/.local/bin (the default)
  --system           for this machine, as root: /opt/cyxmake, programs in /usr/local/bin
  --service NAME     with --system: also the service `coordinator` or `worker` (not started)
  --prefix DIR       another place for the environment
  --bin DIR          another place for the programs' names
  --python PROGRAM   Python 3.11 or newer (default: python3)
  --uninstall        remove what this script installed; data, tokens and settings stay
  --dry-run          say what would be done, and do nothing

Run it again to upgrade. Package indexes come from pip's own configuration.
END
}

fail() { echo "error: $1" >&2; [ $# -lt 2 ] || echo "  next: $2" >&2; exit 2; }
run() { if [ "$dry" = yes ]; then echo "would run: $*"; else "$@"; fi; }

scope=user services='' prefix='' bin='' python=python3 action=install dry=no
need_value() { [ "$2" -ge 2 ] || fail "$1 needs a value" "deploy/install.sh --help"; }
while [ $# -gt 0 ]; do
    case $1 in
        --user) scope=user ;;
        --system) scope=system ;;
        --service) need_value "$1" $#; services="$services $2"; shift ;;
        --prefix) need_value "$1" $#; prefix=$2; shift ;;
        --bin) need_value "$1" $#; bin=$2; shift ;;
        --python) need_value "$1" $#; python=$2; shift ;;
        --uninstall) action=uninstall ;;
        --dry-run) dry=yes ;;
        -h|--help) usage; exit 0 ;;
        *) fail "unknown option: $1" "deploy/install.sh --help" ;;
    esac
    shift
done

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source_tree=$(dirname -- "$here")
system=$(uname -s)
if [ "$scope" = system ]; then
    [ "$(id -u)" = 0 ] || [ "$dry" = yes ] || fail "--system needs root" "run it by sudo, or use --user"
    : "${prefix:=/opt/cyxmake}" "${bin:=/usr/local/bin}"
else
    [ -z "$services" ] || fail "services are for --system" "add --system, or start the programs yourself"
    : "${prefix:=${XDG_DATA_HOME:-$HOME/.local/share}/cyxmake/program}" "${bin:=$HOME/.local/bin}"
fi
for service in $services; do
    case $service in
        coordinator|worker) ;;
        *) fail "no such service: $service" "coordinator or worker" ;;
    esac
done
programs='cyxmake cyxmake-coordinator cyxmake-worker'
mark=$prefix/.cyxmake-installed

remove_service() {
    if [ "$system" = Darwin ]; then
        file=/Library/LaunchDaemons/cyxmake.$1.plist
        [ -e "$file" ] || return 0
        run launchctl bootout "system/cyxmake.$1" || true
    else
        file=/etc/systemd/system/cyxmake-$1.service
        [ -e "$file" ] || return 0
        if [ -d /run/systemd/system ]; then run systemctl disable --now "cyxmake-$1.service" || true; fi
    fi
    run rm -f -- "$file"
    if [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
    echo "removed the service $1"
}

if [ "$action" = uninstall ]; then
    if [ "$scope" = system ]; then
        remove_service coordinator
        remove_service worker
    fi
    for program in $programs; do
        # Only what points into our environment: another program may have the name.
        if [ "$(readlink -- "$bin/$program" 2>/dev/null || true)" = "$prefix/bin/$program" ]; then
            run rm -f -- "$bin/$program"
        fi
    done
    if [ -e "$mark" ]; then
        run rm -rf -- "$prefix"
        echo "removed $prefix; data, tokens and settings were left alone"
    elif [ -e "$prefix" ]; then
        fail "$prefix was not made by this script" "remove it by hand if it is not needed"
    else
        echo "nothing is installed in $prefix"
    fi
    exit 0
fi

[ -f "$source_tree/pyproject.toml" ] || fail "no sources beside this script" "run it from a checkout"
command -v "$python" >/dev/null || fail "$python is not installed" "install Python 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is older than 3.11" "name a newer one by --python"
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python has no venv module" "install it (Debian: apt-get install python3-venv)"
if [ -e "$prefix" ] && [ ! -e "$mark" ] && [ -n "$(ls -A "$prefix")" ]; then
    fail "$prefix exists and was not made by this script" "choose another --prefix"
fi

run mkdir -p -- "$prefix" "$bin"
run touch -- "$mark"
run "$python" -m venv "$prefix"
extras='[discovery]'
case $services in *coordinator*) extras='[discovery,metrics]' ;; esac
run "$prefix/bin/pip" install --quiet --upgrade "$source_tree$extras"
for program in $programs; do
    if [ -e "$bin/$program" ] && [ ! -L "$bin/$program" ]; then
        fail "$bin/$program is in the way" "remove it, or choose another --bin"
    fi
    run ln -sf -- "$prefix/bin/$program" "$bin/$program"
done

install_service() {
    if [ "$system" = Darwin ]; then
        run install -m 0644 "$here/launchd/cyxmake.$1.plist" /Library/LaunchDaemons/
        run install -d -m 0750 -o _cyxmake -g _cyxmake /usr/local/etc/cyxmake \
            /usr/local/var/cyxmake /usr/local/var/log/cyxmake
        echo "start it: launchctl bootstrap system /Library/LaunchDaemons/cyxmake.$1.plist"
        return
    fi
    if ! getent passwd cyxmake >/dev/null; then
        run useradd --system --user-group --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin cyxmake
    fi
    run install -d -m 0755 /etc/cyxmake
    unit=/etc/systemd/system/cyxmake-$1.service
    if [ "$dry" = yes ]; then
        echo "would write: $unit"
    else
        sed "s|^ExecStart=/opt/cyxmake/|ExecStart=$prefix/|" "$here/systemd/cyxmake-$1.service" > "$unit"
    fi
    if [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
    echo "start it: systemctl enable --now cyxmake-$1"
    if [ "$1" = worker ]; then echo "  before: put its token into /etc/cyxmake/worker.token, mode 0600"; fi
}

if [ "$system" = Darwin ] && [ -n "$services" ] && ! id _cyxmake >/dev/null 2>&1; then
    fail "there is no user _cyxmake" "make one: sysadminctl -addUser _cyxmake -roleAccount -UID 450"
fi
for service in $services; do install_service "$service"; done
if [ "$dry" = no ]; then echo "installed $("$prefix/bin/cyxmake-coordinator" --version | tr ' ' '\n' | tail -1) in $prefix"; fi
case :$PATH: in *:"$bin":*) ;; *) echo "note: $bin is not in PATH" ;; esac
