# Runs on the other machine, by `sh -c` (far_script.h says how it talks with us). Whole-line comments
# are left out on the way. It writes no file. Any sh will do: dash, bash, busybox, zsh as sh.
#
# $1 folder of models; $2 the same on WSL, or ""; $3 a llama-server, should it be there, or "";
# $4 seconds without a word from us after which it ends.

umask 077
PATH="$HOME/.local/bin:$PATH:/usr/local/bin:/opt/homebrew/bin"
say() { printf '@lc %s\n' "$*"; }
fail() { say error "$@"; exit 3; }
# Where PATH does not lead to a program, a login shell's may.
there() {
  command -v "$1" 2>/dev/null || sh -lc 'command -v "$1"' sh "$1" 2>/dev/null | tail -n 1
}

dir=$1 silence=$4
if [ -n "$2" ]; then
  grep -qi microsoft /proc/version 2>/dev/null || fail windows-path "$1"
  dir=$2
fi
case $dir in '~') dir=$HOME ;; '~/'*) dir=$HOME/${dir#??} ;; esac
[ -d "$dir" ] || fail no-folder "$dir"

# A llama-server that somebody named, there or here, goes before one that is found.
named=
for it in "$LLAMA_SERVER" "$3"; do
  [ -z "$named" ] && [ -n "$it" ] && command -v "$it" >/dev/null && named=$it
done
anc=$(there ancalagon)
[ -n "$anc" ] && "$anc" private --help >/dev/null 2>&1 </dev/null || anc=
if [ -n "$anc" ]; then
  list=$("$anc" models "$dir" --json 2>/dev/null </dev/null) ||
    fail list "$("$anc" models "$dir" --json 2>&1 >/dev/null </dev/null | tail -n 1)"
  say hello ancalagon "$anc"
  say models "$list"
else
  server=$named
  [ -n "$server" ] || server=$(there llama-server)
  [ -n "$server" ] || server=${XDG_CACHE_HOME:-$HOME/.cache}/ancalagon/engine/bin/llama-server
  command -v "$server" >/dev/null 2>&1 || fail no-server "$server"
  say hello llama-server "$server"
  find -L "$dir" -maxdepth 2 -name '*.gguf' -type f 2>/dev/null | sort |
    while IFS= read -r f; do say file $(wc -c <"$f") "$f"; done
fi

# Empty lines are beats. `read` takes no byte beyond its line, so the rest is for who comes next.
say choose
answer() { while IFS= read -r it; do [ -n "$it" ] && { it=${it#=}; return; }; done; exit 0; }
answer; model=$it
answer; ctx=$it
answer; draft=$it
answer; port=$it
answer; key=$it

if [ -n "$anc" ]; then
  set -- --model "$model" --models "$dir" --beat "${silence}s"
  [ -n "$ctx" ] && set -- "$@" --ctx "$ctx"
  [ -n "$draft" ] && set -- "$@" --draft "$draft"
  [ -n "$port" ] && set -- "$@" --listen "127.0.0.1:$port"
  [ -n "$named" ] && set -- "$@" --engine "$named"
  exec "$anc" private "$@"
fi

# From here on: a llama-server alone, in the words that this build has.
case $draft in '' | /*) ;; *) draft=$dir/$draft ;; esac
case $server in *.exe)
  model=$(wslpath -w "$model")
  [ -n "$draft" ] && draft=$(wslpath -w "$draft")
  export WSLENV=LLAMA_API_KEY ;;
esac
flags=$("$server" --help 2>&1 </dev/null)
has() { case $flags in *"$1"*) return 0 ;; esac; return 1; }
set -- -m "$model" --host 127.0.0.1 --port "${port:-0}"
if [ -n "$ctx" ]; then set -- "$@" -c "$ctx"
elif ! has '--fit '; then set -- "$@" -c 32768
fi
has --jinja && set -- "$@" --jinja
has --no-webui && set -- "$@" --no-webui
has --offline && set -- "$@" --offline
if [ -n "$draft" ]; then
  set -- "$@" -md "$draft"
  has --spec-type && set -- "$@" --spec-type draft-simple
fi
flags=

# It knows nothing of us, so two processes watch over it and over each other: one reads the beats,
# one counts the seconds since. Either ends it when the other is gone, and so does the kernel where
# setpriv can ask for that.
guard=
setpriv --pdeathsig KILL true 2>/dev/null && guard='setpriv --pdeathsig KILL'
exec 3<&0
LLAMA_API_KEY=$key $guard "$server" "$@" </dev/null 3<&- 2>&1 &
engine=$! main=$$ key=
finish() {
  kill -TERM $engine; n=0
  while kill -0 $engine && [ $n -lt 5 ]; do sleep 0.1 || sleep 1; n=$((n+1)); done
  kill -KILL $engine
} 2>/dev/null
trap 'quiet=0' USR1
(
  trap '' HUP INT TERM PIPE
  while IFS= read -r it <&3; do kill -USR1 $main 2>/dev/null || break; done
  finish
) &
beats=$! quiet=0
exec 3<&- </dev/null
trap 'quiet=$silence' HUP INT TERM
trap '' PIPE
while kill -0 $engine && kill -0 $beats && [ $quiet -lt $silence ]; do
  sleep 1 & nap=$!
  wait $nap; quiet=$((quiet+1))
  kill $nap
done 2>/dev/null
finish
kill -KILL $beats 2>/dev/null
wait $engine 2>/dev/null
say ended $?
