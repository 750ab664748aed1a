#!/bin/sh
# wsward @VERSION@ for @TARGET@: this script, and behind its last line a gzipped tar of the program and its runtime.
id=@ID@
# That is the SHA-256 of this line and all that follow in the script, and the name of the folder that it unpacks into.

# A script that ends where it does not mean to has lost its end.
damaged="start \"$0\": it is damaged, get it again"
trap 'printf "Cannot %s\n" "$damaged" >&2; exit 1' 0

lines=@LINES@
files='@FILES@'
digests='@DIGESTS@'
way_out='set WSWARD_CACHE_DIR or XDG_CACHE_HOME to another folder'
newline='
'
temporary=
# Whether there is a cache, and who owns it.
is_made=yes
me=

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

# Prints what the system knows, one line each: the number of folders above $1; $1 and these; and then the folder $2 in
# $1, its state and its files, and env. Nobody can set a ctime, so whatever is done to a file shows.
look() {
  cd -P "$1" 2>/dev/null || return
  folder=$PWD
  sub=$2
  if [ -n "$sub" ]; then
    set -- "$sub" "$sub/state"
    for name in $files; do set -- "$@" "$sub/$name"; done
    [ -e /usr/bin/env ] && set -- "$@" /usr/bin/env
  else
    set --
  fi
  above=1
  up=..
  while folder=${folder%/*} && [ -n "$folder" ]; do
    set -- "$up" "$@"
    up=$up/..
    above=$((above + 1))
  done
  echo "$above"
  export TZ=UTC0 LC_ALL=C
  exec @STAT@ . / "$@"
}

# Fails if somebody else could have changed or replaced what look printed: the folders above are checked as ssh does,
# and what is below must be closed to others. Leaves the lines about the files in $facts.
judge() {
  IFS=$newline
  set -- $1
  unset IFS
  [ -n "${1-}" ] || return 1
  above=$1
  shift
  number=0
  facts=
  for line in "$@"; do
    mode=${line%% *}
    owner=${line#* }
    group=${owner#* }
    group=${group%% *}
    owner=${owner%% *}
    # The first folder is the cache, or where it will be made; then comes the root, whose owner may do anything anyway.
    [ "$number" -ne 0 ] || [ -z "$is_made" ] || me=$owner
    [ "$number" -ne 1 ] || root=$owner
    if [ "$number" -ge 1 ] && [ "$number" -le "$above" ] || [ -z "$is_made" ]; then
      case $owner in
        0 | "$me" | "$root") ;;
        *) fail "use \"$cache\": a folder above it belongs to somebody else; $way_out" ;;
      esac
      # Where everybody may write, but rename their own only, as in /tmp; and where the group is the user's own.
      case $mode in
        [1357]???) ;;
        *[2367]) fail "use \"$cache\": others can write to a folder above it; $way_out" ;;
        *[2367]?) [ "$group" = "$me" ] || fail "use \"$cache\": others can write to a folder above it; $way_out" ;;
      esac
    elif [ "$number" -le $((above + 2)) ]; then
      [ "$owner" = "$me" ] || fail "use \"$cache/$id\": it must be a folder that belongs to you; $way_out"
      case $mode in
        *[2367]? | *[2367]) fail "use \"$cache\": others can write to it; $way_out" ;;
      esac
    else
      facts=$facts$line$newline
    fi
    number=$((number + 1))
  done
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# Whether each file in $1, a folder in the cache, has its digest. If so, they need not be read again until one of them
# is changed. This is noted as plain data, as is how to start the runtime, which takes a program to find out.
verified() {
  for name in $files; do
    [ -f "$cache/$1/$name" ] && [ -O "$cache/$1/$name" ] && [ ! -L "$cache/$1/$name" ] || return 1
  done
  judge "$(look "$cache" "$1" 2>/dev/null)" || return 1
  before=$facts
  (cd "$cache/$1" && printf '%s\n' "$digests" | digest -c) >/dev/null 2>&1 || return 1
  judge "$(look "$cache" "$1" 2>/dev/null)" && [ "$facts" = "$before" ] || return 1
  blocks=no
  # At SIGUSR1 the runtime would open a debugger in which any local user can run code.
  /usr/bin/env --block-signal=USR1 true 2>/dev/null && blocks=yes
  # Where the note can't be written, the files are read at each start. It appears whole, or not at all.
  {
    printf '%s\n%s' "$blocks" "$facts" >"$cache/$1/state/seen.$$" &&
      mv -f "$cache/$1/state/seen.$$" "$cache/$1/state/seen"
  } 2>/dev/null
  return 0
}

# Whether there is a folder with the right files in it.
usable() {
  [ -e "$here" ] || [ -L "$here" ] || return 1
  own "$cache"
  own "$here"
  judge "$(look "$cache" "$id" 2>/dev/null)" || return 1
  # The shell itself reads it, because each program that a start runs costs a millisecond.
  blocks=
  known=
  if [ -f "$here/state/seen" ] && [ ! -L "$here/state/seen" ]; then
    while IFS= read -r line; do
      if [ -z "$blocks" ]; then blocks=$line; else known=$known$line$newline; fi
    done <"$here/state/seen"
  fi
  [ -n "$known" ] && [ "$facts" = "$known" ] || verified "$id"
}

executable() {
  [ -x "$1/wsward" ] || fail "run from \"$cache\": programs may not run there (noexec); $way_out"
}

unpack() {
  mask=$(umask)
  umask 077
  no_room="unpack into \"$cache\": it must be a folder that can be written, with room for @ROOM@; $way_out"
  # Nothing is made below a folder whose owner could replace it.
  up=$cache
  until [ -d "$up" ]; do up=${up%/*} && [ -n "$up" ] || up=/; done
  if [ "$up" != "$cache" ]; then
    is_made=
    me=$(id -u)
    judge "$(look "$up" "")" || fail "$no_room"
    is_made=yes
    mkdir -p "$cache" 2>/dev/null
    [ -d "$cache" ] || fail "$no_room"
  fi
  own "$cache"
  judge "$(look "$cache" "")" || fail "$no_room"
  [ "$(head -n "$lines" "$0" | tail -n +4 | digest)" = "$id  -" ] || fail "$damaged"

  # Removes what killed starts left behind; younger folders may be in use.
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
  verified "${temporary##*/}/$id" || fail "$damaged"
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

# The runtime's own variables must not change what runs; only the choice of trusted certificates is the caller's.
variables=
IFS=$newline
for line in $(export -p); do
  name=${line#export }
  name=${name%%=*}
  case $name in
    *[!A-Z0-9_]* | DENO_TLS_CA_STORE) ;;
    DENO_* | NODE_* | OTEL_* | WSWARD_CACHE_DIR) unset "$name" ;;
    # Lets the program find misspelt variables, because it has no permission to list them.
    WSWARD_*) variables="$variables $name" ;;
  esac
done
unset IFS
# The runtime keeps compiled code there, which can't be checked, because it grows.
export DENO_DIR="$here/state" DENO_NO_UPDATE_CHECK=1 WSWARD_VARIABLES="$variables"
WSWARD_OPEN_FILES=$(ulimit -Hn 2>/dev/null)
export WSWARD_OPEN_FILES
# The runtime may not read it. What reads byte by byte takes its end for a mistake.
{ read -r WSWARD_TCP_MIGRATE_REQ < /proc/sys/net/ipv4/tcp_migrate_req; } 2>/dev/null || :
export WSWARD_TCP_MIGRATE_REQ
block=
[ "$blocks" != yes ] || block='/usr/bin/env --block-signal=USR1'
trap - 0
exec $block "$here/wsward" @FLAGS@ "$here/main.js" "$@"
