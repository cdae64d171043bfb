# Shared by the scripts of tools/: finds Python, keeps .venv current. Sourced, never run.
# Sets: root (the checkout), python (the environment's interpreter). Uses: me (the caller's name in messages).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv

note() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { note "$*"; exit 2; }

# as_root COMMAND...: true when it ran as root and succeeded.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else return 1; fi
}

# apt_install PACKAGE...: true when the packages are there afterwards. Quiet; the log is kept.
apt_install() {
    command -v apt-get >/dev/null || return 1
    mkdir -p "$venv"
    {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" ||
            { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }
    } >"$venv/apt.log" 2>&1 </dev/null
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# find_python: prints an interpreter of at least 3.11.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# What the environment was made from: another answer means it is out of date.
fingerprint() { "$1" -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest(), sys.argv[2], sys.version.split()[0])' \
    "$root/pyproject.toml" "$2"; }

# make_venv PYTHON: an empty environment with pip in it.
make_venv() {
    local base=$1 version
    version=$("$base" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    if "$base" -m venv --clear "$venv" >/dev/null 2>&1; then return; fi
    note "making .venv needs the venv module, trying to install $version-venv"
    if apt_install "$version-venv" && "$base" -m venv --clear "$venv" >/dev/null 2>&1; then return; fi
    rm -rf "$venv"
    die "this Python has no working venv module: run 'apt-get install $version-venv' (or python3-venv) as root, then again"
}

stamp_of() { echo "$venv/linuxemu-$1.stamp"; }

# is_current KIND: true when the environment has what that use needs today.
is_current() {
    [ -x "$python" ] && [ -e "$(stamp_of "$1")" ] &&
        [ "$(cat "$(stamp_of "$1")")" = "$(fingerprint "$python" "$1" 2>/dev/null)" ]
}

# ensure_env run|docs|dev: afterwards $python has linuxemu and what that use of it needs; dev has everything.
ensure_env() {
    local kind=$1 base spec lock
    python=$venv/bin/python
    if is_current "$kind" || is_current dev; then return; fi
    [ -w "$root" ] || die "cannot write to $root, where .venv belongs"
    exec {lock}<"$root/pyproject.toml"
    if command -v flock >/dev/null; then flock "$lock"; fi
    if ! { [ -x "$python" ] && is_new_enough "$python" && "$python" -m pip --version >/dev/null 2>&1; }; then
        base=$(find_python) || die "needs Python 3.11 or newer (on Debian: apt-get install python3 python3-venv)"
        note "making .venv with $("$base" --version)"
        make_venv "$base"
    fi
    note "installing dependencies into .venv (once)"
    spec=$root
    if [ "$kind" != run ]; then spec="$root[$kind]"; fi
    # editable_mode=compat is a plain path entry: the default's import hook would cost 10 ms at every start.
    if ! "$python" -m pip install --disable-pip-version-check --no-input --retries 2 --timeout 20 \
        --config-settings editable_mode=compat -e "$spec" >"$venv/pip.log" 2>&1; then
        if grep -qiE 'connection|name resolution|network|timed out|No matching distribution|proxy' "$venv/pip.log"; then
            die "cannot download the dependencies: is this machine offline? (details: .venv/pip.log)"
        fi
        die "cannot install the dependencies: $(grep -E '^(ERROR|error)' "$venv/pip.log" | tail -1) (details: .venv/pip.log)"
    fi
    fingerprint "$python" "$kind" >"$(stamp_of "$kind")"
    exec {lock}<&-
}

# build_docs ARG...: the site of docs/ in build/docs, afresh: its reference is made of files Sphinx does not watch.
build_docs() {
    "$python" -m sphinx -W --keep-going -q -E -d "$root/build/doctrees" "$@" "$root/docs" "$root/build/docs"
}
