#!/bin/sh
# wsward @VERSION@ for @TARGET@: this script, and behind its last line a tar of the program and its runtime, through gzip.
id=@ID@
# That is the SHA-256 of this line and all that follow in the script, and the name of the folder that it unpacks into.

# If it ends in another way than it means to, its end is missing.
damaged="start \"$0\": it is damaged, get it again"
trap 'printf "Cannot %s\n" "$damaged" >&2; exit 1' 0

lines=@LINES@
files='@FILES@'
digests='@DIGESTS@'
way_out='set WSWARD_CACHE_DIR or XDG_CACHE_HOME to another folder'
temporary=

fail() {
  trap - 0
  [ -z "$temporary" ] || rm -rf "$temporary"
  [ -z "$1" ] || printf 'Cannot %s\n' "$1" >&2
  exit "${2-1}"
}

# A folder of somebody else, or one that others can write to, could hold anybody's program.
own() {
  [ -d "$1" ] && [ -O "$1" ] && [ ! -L "$1" ] ||
    fail "use \"$1\": it must be a folder that belongs to you, and no link to one; $way_out"
}

closed() {
  case $(@MODE@ "$1") in
    *[2367]? | *[2367]) fail "use \"$1\": others can write to it; $way_out" ;;
  esac
}

# Prints what the system knows about each file in $1. Nobody can set a ctime, so whatever is done to one shows.
look() {
  cd "$1" && export TZ=UTC0 LC_ALL=C && exec @STAT@ $files
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# Whether each file in $1 has its digest; if so, they need not be read again until something was done to one.
verified() {
  closed "$1"
  for name in $files; do
    [ -f "$1/$name" ] && [ -O "$1/$name" ] && [ ! -L "$1/$name" ] || return 1
  done
  seen=$(look "$1")
  (cd "$1" && printf '%s\n' "$digests" | digest -c) >/dev/null 2>&1 || return 1
  [ "$(look "$1")" = "$seen" ] || return 1
  # Where it can't be written, they are read again each time. The shell would stop at a half of it, so it appears whole.
  { printf "known='%s'\n" "$seen" >"$1/state/seen.$$" && mv -f "$1/state/seen.$$" "$1/state/seen"; } 2>/dev/null
  return 0
}

# Whether there is a folder with the right files in it.
usable() {
  [ -e "$here" ] || [ -L "$here" ] || return 1
  own "$cache"
  own "$here"
  # Read by the shell itself, because each program that a start runs costs it a millisecond.
  known=
  [ -f "$here/state/seen" ] && . "$here/state/seen"
  [ -n "$known" ] && [ "$(look "$here" 2>/dev/null)" = "$known" ] || verified "$here"
}

executable() {
  [ -x "$1/wsward" ] || fail "run from \"$cache\": programs may not run there (noexec); $way_out"
}

unpack() {
  mask=$(umask)
  umask 077
  no_room="unpack into \"$cache\": it must be a folder that can be written, with room for @ROOM@; $way_out"
  mkdir -p "$cache" 2>/dev/null
  [ -d "$cache" ] || fail "$no_room"
  own "$cache"
  closed "$cache"
  [ "$(head -n "$lines" "$0" | tail -n +4 | digest)" = "$id  -" ] || fail "$damaged"

  # What was left behind by those that were killed; younger ones may be at work.
  find "$cache/." ! -name . -prune -name 'unpacking.*' -mmin +10 -exec rm -rf {} + 2>/dev/null
  temporary=$(mktemp -d "$cache/unpacking.XXXXXX" 2>/dev/null) || fail "$no_room"
  trap 'fail "" 129' 1
  trap 'fail "" 130' 2
  trap 'fail "" 143' 15
  new=$temporary/$id
  mkdir -p "$new/state" 2>/dev/null || fail "$no_room"
  tail -n "+$((lines + 1))" "$0" | gzip -dc 2>/dev/null | TAR_OPTIONS='' tar -xof - -C "$new" 2>/dev/null || {
    tail -n "+$((lines + 1))" "$0" | gzip -t 2>/dev/null || fail "$damaged"
    fail "$no_room"
  }
  verified "$new" || fail "$damaged"
  executable "$new"
  "$new/wsward" --version >/dev/null 2>&1 || fail "run here: this is wsward for @TARGET@"

  # The rename fails where another start was faster, or where a folder with wrong files is in the way.
  mv -f "$new" "$cache/" 2>/dev/null || usable || {
    mv -f "$here" "$temporary/wrong" 2>/dev/null
    mv -f "$new" "$cache/" 2>/dev/null || usable || fail "$no_room"
  }
  rm -rf "$temporary"
  temporary=
  trap - 1 2 15
  umask "$mask"
}

set -f
PATH=/usr/bin:/bin${PATH:+:$PATH}

if [ -n "${WSWARD_CACHE_DIR-}" ]; then
  cache=$WSWARD_CACHE_DIR
elif [ -n "${XDG_CACHE_HOME-}" ]; then
  cache=$XDG_CACHE_HOME/wsward
elif [ -n "${HOME-}" ]; then
  cache=$HOME/.cache/wsward
else
  cache=/tmp/wsward-$(id -u)
fi
case $cache in
  /*) ;;
  *) fail "use \"$cache\": it must be an absolute path; $way_out" ;;
esac
here=$cache/$id
usable || unpack
executable "$here"

# The runtime's own variables must not change what runs; whose certificates to trust is for the caller to say.
IFS='
'
for line in $(export -p); do
  name=${line#export }
  name=${name%%=*}
  case $name in
    *[!A-Z0-9_]* | DENO_TLS_CA_STORE) ;;
    DENO_* | NODE_* | OTEL_* | WSWARD_CACHE_DIR) unset "$name" ;;
  esac
done
unset IFS
# The runtime keeps what it has compiled there; that can't be checked, because it grows.
export DENO_DIR="$here/state" DENO_NO_UPDATE_CHECK=1
trap - 0
exec "$here/wsward" @FLAGS@ "$here/main.js" "$@"
