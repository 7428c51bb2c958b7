# shellcheck shell=bash
# What every script here starts with: strict bash, a temporary folder that goes away again, and in it
# a copy of the tree as git has it, so that nothing is built or written in the tree itself. Sourced.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/crnn-ci.XXXXXX")
JOBS=() # what runs in the background and ends with the script
trap 'kill ${JOBS[@]+"${JOBS[@]}"} 2> /dev/null || true; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
export PYTHONDONTWRITEBYTECODE=1 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset CRNN_ISA CRNN_ABI3 PYTHONPATH VIRTUAL_ENV

SKIPPED=()

heading() { printf '\n=== %s\n' "$*"; }

# What is not done here is said at once, and again at the end.
skip() {
    SKIPPED+=("$*")
    printf 'skipped: %s\n' "$*"
}

# What was proved is said at once, and again by show_proved.
PROVED=()
proved() {
    PROVED+=("$*")
    printf 'proved: %s\n' "$*"
}

# same_weights WHERE COMMAND...: the weights trained there have the checksum of all others that fuse.
WEIGHTS=''
same_weights() {
    local line isa sum where=$1
    shift
    line=$("$@" "$ROOT/.ci/checksum.py")
    read -r _ isa sum <<< "$line"
    echo "$where: $line"
    if [ "$isa" = portable ]; then return; fi
    [ "${WEIGHTS:-$sum}" = "$sum" ] || fail "$where has other bits than those before it"
    WEIGHTS=$sum
}

show_proved() {
    heading "what was proved"
    printf '%s\n' "${PROVED[@]}"
    if [ -n "$WEIGHTS" ]; then echo "weights, on all that fuse: $WEIGHTS"; fi
}

finish() {
    heading "$1: passed"
    for what in ${SKIPPED[@]+"${SKIPPED[@]}"}; do
        printf 'skipped: %s\n' "$what"
    done
}

fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

# copy_tree FOLDER: tracked and new files, without what git ignores (or all, outside of a clone).
copy_tree() {
    mkdir -p "$1"
    if git -C "$ROOT" rev-parse --is-inside-work-tree > "$WORK/git.log" 2>&1; then
        git -C "$ROOT" ls-files -z --cached --others --exclude-standard |
            (cd "$ROOT" && while IFS= read -r -d '' file; do
                if [ -e "$file" ]; then printf '%s\0' "$file"; fi
            done | tar -cf - --null -T -) | tar -xf - -C "$1"
    else
        tar -C "$ROOT" -cf - --exclude=./build --exclude=./dist --exclude='*.so' \
            --exclude='*.egg-info' --exclude=__pycache__ . | tar -xf - -C "$1"
    fi
}

# The interpreter: PYTHON if it is set, else the first that is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> "$WORK/python.log"
        then
            command -v "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer (tried ${PYTHON:-python3 and python3.11 to python3.14})"
}

# environment FOLDER: a fresh virtual environment, which is then the one in use.
environment() {
    "$(find_python)" -m venv "$1"
    if [ -d "$1/bin" ]; then PATH="$1/bin:$PATH"; else PATH="$1/Scripts:$PATH"; fi
    hash -r
}

# have_qemu PROCESSOR: whether qemu-user for it is here, installed first where that is allowed.
have_qemu() {
    if ! command -v "qemu-$1-static" > "$WORK/qemu.log" && [ "$(id -u)" = 0 ] &&
        command -v apt-get >> "$WORK/qemu.log"; then
        { apt-get update && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends qemu-user-static; } \
            >> "$WORK/qemu.log" 2>&1 < /dev/null || true
        hash -r
    fi
    command -v "qemu-$1-static" >> "$WORK/qemu.log"
}

# emulated_environment FOLDER PROCESSOR: beside the environment in FOLDER one with the same packages
# whose interpreter runs on an emulated x86-64 processor, and the processes that it starts as well.
emulated_environment() {
    local python="$1/$2/bin/python" model=$2
    # What the emulator has not and would say so in every process.
    if [ "$2" = Haswell ]; then model+=,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm; fi
    mkdir -p "$1/$2/bin"
    cp "$1/pyvenv.cfg" "$1/$2/"
    ln -sfn ../lib "$1/$2/lib"
    # The environment may have chosen NumPy's BLAS for the real processor.
    printf '#!/bin/sh\nOPENBLAS_CORETYPE=%s exec qemu-x86_64-static -cpu %s -0 "$0" "%s" "$@"\n' \
        "$2" "$model" "$(readlink -f "$1/bin/python")" > "$python"
    chmod +x "$python"
    "$python" -c 'import crnn; print(crnn.cpu_info())'
}

# What an emulator is too slow for, up to ten minutes each: the comparison with the notebook's 50 epochs
# (NumPy for 700,000 steps; the shorter ones do run), a training of 260 GFLOP, the README's examples.
# shellcheck disable=SC2034 # by the scripts that source this
EMULATED=(-p no:cacheprovider -k "not fifty_epochs and not beats_least_squares and not stands_behind_them")
