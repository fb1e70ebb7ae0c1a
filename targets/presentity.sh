#!/bin/sh
# Starts the program. What lives long (run, edge) gets the flags that keep Node lean; short verbs start faster without.
set -eu

self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=$(dirname "$self")/$link ;; esac
done
here=$(cd "$(dirname "$self")" && pwd)
node=${PRESENTITY_NODE:-node}

if ! command -v "$node" >/dev/null 2>&1; then
  echo "presentity: Node.js 20 or newer is needed; '$node' was not found" >&2
  exit 69
fi

case ${1-} in
  run | edge)
    # One arena: glibc otherwise keeps one per thread. Two threads: one slow name lookup must not stall file access.
    export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}" UV_THREADPOOL_SIZE="${UV_THREADPOOL_SIZE:-2}"
    # Some flags are named otherwise from one release to the next, and Node does not start with one that it does not know.
    version=$("$node" --version)
    version=${version#v}
    own=$here/node${version%%.*}.flags
    [ -r "$own" ] || own=
    # shellcheck disable=SC2046,SC2086 # one flag a line, none with spaces
    exec "$node" $(cat "$here/node.flags" $own) "$here/presentity.cjs" "$@"
    ;;
  *)
    exec "$node" "$here/presentity.cjs" "$@"
    ;;
esac
