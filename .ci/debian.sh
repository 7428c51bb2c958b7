# shellcheck shell=bash
# Debian's packages in a folder of their own, for another processor or another release, without root
# and without being installed. Sourced behind fresh.sh.

# install PACKAGE...: on this machine, where that is allowed; whether they are there afterwards.
install() {
    if ! dpkg -s "$@" > "$WORK/apt.log" 2>&1; then
        [ "$(id -u)" = 0 ] && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "$@" > "$WORK/apt.log" 2>&1 < /dev/null
    fi
}

# debian_index ROOT SUITE ARCHITECTURE: an apt with a state of its own, from this machine's mirror.
debian_index() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | head -n 1)
    [ -n "$mirror" ] || fail "apt on this machine has no mirror of Debian"
    mkdir -p "$1"/{lists/partial,cache/archives/partial,system}
    : > "$1/status"
    printf 'deb%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
        '' "$mirror" "$2" -src "$mirror" "$2" > "$1/sources.list"
    cat > "$1/apt.conf" <<CONF
Dir::State "$1"; Dir::State::status "$1/status"; Dir::State::lists "$1/lists";
Dir::Cache "$1/cache"; Dir::Etc::sourcelist "$1/sources.list"; Dir::Etc::sourceparts "/dev/null";
APT::Architecture "$3"; APT::Architectures {"$3";}; APT::Install-Recommends "false";
APT::Sandbox::User "root"; Acquire::Languages "none"; Debug::NoLocking "true";
CONF
    debian_get "$1" update
}

# debian_get ROOT ARGUMENTS...: that apt's apt-get.
debian_get() {
    local root=$1
    shift
    APT_CONFIG="$root/apt.conf" apt-get -q -y "$@" > "$root/apt.log" 2>&1 < /dev/null ||
        { tail "$root/apt.log"; return 1; }
}

# debian_has ROOT PACKAGE: whether there is such a package.
debian_has() {
    APT_CONFIG="$1/apt.conf" apt-cache show "$2" > "$1/apt.log" 2>&1
}

# debian_unpack ROOT PACKAGE...: the packages and what they depend on, into ROOT/system.
debian_unpack() {
    local root=$1 package
    shift
    debian_get "$root" --download-only install "$@" || return 1
    for package in "$root"/cache/archives/*.deb; do
        dpkg -x "$package" "$root/system" || return 1
    done
    rm -rf "$root/cache/archives"
    ln -sfn usr/lib "$root/system/lib" # where a foreign dynamic loader is looked for
}
