#!/usr/bin/env bash
# Sets up a working tree: system tools, the virtual environment, the media server. Does only what is missing.
#   scripts/setup.sh             what `longline serve` and `make demo` need
#   scripts/setup.sh --test      and the peers that the tests call (baresip, SIPp, Kamailio), PostgreSQL, the vendor's older SDKs
#   scripts/setup.sh --clients   and third-party applications that speak the dialects (tests/clients; --test has them too)
#   scripts/setup.sh --quality   and what `make bench-quality` speaks and scores with
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[2m· %s\033[0m\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# install_packages PACKAGE…: by apt-get where that is possible, else a sentence that says what to install.
install_packages() {
    local sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    command -v apt-get >/dev/null || die "needs $* and this system has no apt-get: install them with its own package manager, then run this again"
    if [ -n "$sudo" ] && ! $sudo true 2>/dev/null; then
        die "needs $*: run 'sudo apt-get install $*', then run this again"
    fi
    say "installing $*"
    local log
    log=$(mktemp)
    # An old package list is tried first: refreshing it takes longer than installing.
    if ! DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends "$@" >"$log" 2>&1; then
        $sudo apt-get update >"$log" 2>&1 && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends "$@" >>"$log" 2>&1 ||
            { tail -n 5 "$log" >&2; die "apt-get could not install $* (whole log: $log)"; }
    fi
    rm -f "$log"
}

# need COMMAND PACKAGE…: the packages are installed when the command is missing.
need() {
    local command=$1; shift
    command -v "$command" >/dev/null || install_packages "$@"
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

# The newest that can be had: pipecat-asterisk wants 3.12. One of pyenv's that is not the chosen one will do.
find_newest_python() {
    local candidate
    for candidate in "${CLIENTS_PYTHON:-}" python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[23].*/bin/python3 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    find_python
}

# fresh STAMP FILE…: true when nothing among the files is newer than the stamp.
fresh() {
    local stamp=$1; shift
    [ -e "$stamp" ] && [ -z "$(find "$@" -newer "$stamp" -type f -print -quit)" ]
}

need cc build-essential
need cmake cmake
need flite flite
[ -n "$(find_python)" ] || install_packages python3 python3-venv
python=$(find_python)
[ -n "$python" ] || die "needs Python 3.11 or newer; this system has $(python3 --version 2>&1)"
command -v cargo >/dev/null || die "needs Rust 1.88 or newer (cargo): install it with rustup, then run this again"
rust_minor=$(cargo --version | sed -E 's/cargo 1\.([0-9]+).*/\1/')
[ "$rust_minor" -ge 88 ] || die "needs Rust 1.88 or newer; this system has $(cargo --version): run 'rustup update'"

mkdir -p .setup
if [ ! -x .venv/bin/python ]; then
    say "creating .venv with $("$python" --version)"
    "$python" -m venv .venv 2>/dev/null || { rm -rf .venv; install_packages python3-venv; "$python" -m venv .venv; }
fi
if ! fresh .setup/requirements requirements.lock; then
    say "installing the locked Python packages"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
    touch .setup/requirements
fi
if ! fresh .setup/build pyproject.toml Cargo.toml Cargo.lock rust python/longline.data; then
    say "building the media server (a first build takes about a minute)"
    PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . \
        --config-settings=build-args=--locked
    touch .setup/build
fi

if [ "${1:-}" = --test ]; then
    need baresip baresip-core
    need sipp sip-tester
    need svmap sipvicious
    need espeak-ng espeak-ng
    if [ ! -x /usr/sbin/kamailio ] && ! command -v kamailio >/dev/null; then
        # Its service would take port 5060 of this machine; the tests start their own.
        if [ -d /run/systemd/system ]; then
            systemctl mask kamailio 2>/dev/null || sudo -n systemctl mask kamailio || true
        fi
        install_packages kamailio
    fi
    if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
        install_packages postgresql
    fi
    .venv/bin/python scripts/fetch_silero.py >/dev/null
    # The vendor's older SDKs: 0.2.2 beside the 1.0.0 of .venv, and the one for Node.
    if ! fresh .setup/teler-0.2/done tests/support/teler_0_2.txt; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --require-hashes \
            --target .setup/teler-0.2 -r tests/support/teler_0_2.txt
        touch .setup/teler-0.2/done
    fi
    need node nodejs
    need npm npm
    if ! fresh .setup/teler-node/done tests/support/teler_node/package-lock.json; then
        mkdir -p .setup/teler-node
        cp tests/support/teler_node/package.json tests/support/teler_node/package-lock.json .setup/teler-node/
        npm ci --prefix .setup/teler-node --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
        touch .setup/teler-node/done
    fi
fi

if [ "${1:-}" = --clients ] || [ "${1:-}" = --test ]; then
    need node nodejs
    need npm npm
    npm_pid=
    if ! fresh .setup/clients-node/done tests/clients/package-lock.json; then
        mkdir -p .setup/clients-node
        cp tests/clients/package.json tests/clients/package-lock.json .setup/clients-node/
        npm ci --prefix .setup/clients-node --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null &
        npm_pid=$!
    fi
    if ! fresh .setup/clients tests/clients/requirements.lock; then
        rm -rf .venv-clients
        clients_python=$(find_newest_python)
        say "installing third-party applications, for $("$clients_python" --version)"
        "$clients_python" -m venv --without-pip .venv-clients
        # --no-deps: the lock is complete, but for what tests/clients/excluded.txt leaves out.
        .venv/bin/python -m pip --python .venv-clients/bin/python install --quiet --disable-pip-version-check \
            --no-deps --no-compile --require-hashes -r tests/clients/requirements.lock
        touch .setup/clients
    fi
    if [ -n "$npm_pid" ]; then
        wait "$npm_pid"
        touch .setup/clients-node/done
    fi
fi

if [ "${1:-}" = --quality ]; then
    need espeak-ng espeak-ng
    "$python" -c 'import ctypes; ctypes.CDLL("libspandsp.so.2")' 2>/dev/null || install_packages libspandsp2
    if ! fresh .setup/quality/done bench/quality/requirements-build.txt bench/quality/requirements.txt; then
        say "building PESQ in an environment of its own"
        "$python" -m venv .setup/quality
        pip=(.setup/quality/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes)
        "${pip[@]}" -r bench/quality/requirements-build.txt
        "${pip[@]}" --no-build-isolation -r bench/quality/requirements.txt
        touch .setup/quality/done
    fi
fi
