#!/bin/sh
# Installs openlora for this account: no root, nothing outside of one folder.
#
#   sh install.sh [--from URL] [--to FOLDER]
#
# It takes the archive for this machine from the release at URL, compares it with SHA256SUMS and puts the binary into
# FOLDER, which is ~/.local/bin. An installer that came with a release knows its URL.
set -eu

# Filled in by scripts/release.
version=''
from=''

fail() {
    echo "install.sh: $2" >&2
    exit "$1"
}

need() {
    command -v "$1" >/dev/null || fail 4 "$1 is missing: install it with your system's packages"
}

# An address that somebody on the network could answer for is refused.
fetch() {
    case "$1" in
        file:///*) cp "${1#file://}" "$2" ;;
        *@*) fail 2 "$1 is no https:// or file:/// address" ;;
        https://*) need curl && curl -fsSL --proto '=https' -o "$2" "$1" ;;
        http://127.0.0.1:*) need curl && curl -fsS --proto '=http' -o "$2" "$1" ;;
        *) fail 2 "$1 is no https:// or file:/// address" ;;
    esac || fail 1 "cannot read $1"
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi <"$1" | cut -d ' ' -f 1
}

targets() {
    system="$(uname -s) $(uname -m)"
    case "$system" in
        "Linux x86_64")
            grep -qw avx2 /proc/cpuinfo || fail 4 "this processor has no AVX2: build from source, see README.md"
            echo x86_64-unknown-linux-gnu x86_64-unknown-linux-musl
            ;;
        "Linux aarch64") echo aarch64-unknown-linux-gnu aarch64-unknown-linux-musl ;;
        "Darwin arm64") echo aarch64-apple-darwin ;;
        *) fail 4 "there is no archive for $system: build from source, see README.md" ;;
    esac
}

# Leaves the path of a binary that runs here in `found`: with an old glibc or none, that is the one of musl.
unpack() {
    found=''
    why="$from/SHA256SUMS lists none of: $1"
    for target in $1; do
        name="openlora-$version-$target"
        expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $name\.tar\.gz\$/\1/p" "$work/SHA256SUMS")
        [ -n "$expected" ] || continue
        fetch "$from/$name.tar.gz" "$work/archive"
        actual=$(digest "$work/archive")
        [ "$actual" = "$expected" ] ||
            fail 1 "$name.tar.gz is not what SHA256SUMS says: expected $expected, found $actual. Nothing was installed."
        tar -xzf "$work/archive" -C "$work" "$name/openlora"
        if said=$("$work/$name/openlora" --version 2>&1) && [ "$said" = "openlora $version" ]; then
            found="$work/$name/openlora"
            return
        fi
        why="the binary for $target does not run here: $said"
    done
    fail 1 "$why"
}

main() {
    to=''
    while [ $# -gt 0 ]; do
        case "$1" in
            --from) from=${2:-} ;;
            --to) to=${2:-} ;;
            *) fail 2 "unknown argument $1; usage: sh install.sh [--from URL] [--to FOLDER]" ;;
        esac
        [ -n "${2:-}" ] || fail 2 "$1 needs a value"
        shift 2
    done
    [ -n "$version" ] || fail 2 "this is the source of the installer: take install.sh of a release"
    [ -n "$from" ] || fail 2 "name the release: sh install.sh --from URL"
    [ -n "$to${HOME:-}" ] || fail 2 "HOME is empty: name a folder, --to FOLDER"
    to=${to:-$HOME/.local/bin}
    wanted=$(targets)
    need tar
    command -v sha256sum >/dev/null || need shasum

    mkdir -p "$to"
    to=$(cd "$to" && pwd)
    [ ! -d "$to/openlora" ] || fail 1 "$to/openlora is a folder"
    # Beside the destination: the last step is a rename, and the folder may hold programs.
    work=$(mktemp -d "$to/.openlora-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    fetch "$from/SHA256SUMS" "$work/SHA256SUMS"
    unpack "$wanted"
    mv "$found" "$to/openlora"

    echo "openlora $version is installed: $to/openlora"
    case ":$PATH:" in
        *":$to:"*)
            first=$(command -v openlora)
            [ "$first" = "$to/openlora" ] || echo "PATH finds another one first: $first"
            ;;
        *) echo "Its folder is not on PATH. Add it: export PATH=\"$to:\$PATH\"" ;;
    esac
    echo "Try it: openlora demo"
}

main "$@"
