#include "far_script.h"

#include "base/mem.h"

#include <ctype.h>
#include <string.h>

// $1 folder of models, $2 the same on WSL or "", $3 llama-server or "", $4 seconds of silence.
static const char head[] =
    "umask 077\n"
    "PATH=\"$HOME/.local/bin:$PATH:/usr/local/bin:/opt/homebrew/bin\"\n"
    "say() { printf '@lc %s\\n' \"$*\"; }\n"
    "fail() { say error \"$@\"; exit 3; }\n"
    "there() { command -v \"$1\" 2>/dev/null || sh -lc 'command -v \"$1\"' sh \"$1\" 2>/dev/null | tail -n 1; }\n"
    "dir=$1 silence=$4\n"
    "if [ -n \"$2\" ]; then\n"
    "  grep -qi microsoft /proc/version 2>/dev/null || fail windows-path \"$1\"\n"
    "  dir=$2\n"
    "fi\n"
    "case $dir in '~') dir=$HOME ;; '~/'*) dir=$HOME/${dir#??} ;; esac\n"
    "[ -d \"$dir\" ] || fail no-folder \"$dir\"\n"
    "server=$3\n"
    "[ -z \"$server\" ] && server=$(there llama-server)\n"
    "[ -z \"$server\" ] && server=$HOME/.cache/ancalagon/engine/bin/llama-server\n"
    "anc=$(there ancalagon)\n"
    "[ -n \"$anc\" ] && \"$anc\" private --help >/dev/null 2>&1 </dev/null || anc=\n"
    "if [ -n \"$anc\" ]; then\n"
    "  list=$(\"$anc\" models \"$dir\" --json 2>/dev/null </dev/null) ||\n"
    "    fail list \"$(\"$anc\" models \"$dir\" --json 2>&1 >/dev/null </dev/null | tail -n 1)\"\n"
    "  say hello ancalagon \"$anc\"\n"
    "  say models \"$list\"\n"
    "else\n"
    "  command -v \"$server\" >/dev/null 2>&1 || fail no-server \"$server\"\n"
    "  say hello llama-server \"$server\"\n"
    "  find -L \"$dir\" -maxdepth 2 -name '*.gguf' -type f 2>/dev/null | sort |\n"
    "    while IFS= read -r f; do say file $(wc -c <\"$f\") \"$f\"; done\n"
    "fi\n"
    "say choose\n"
    "answer() { while IFS= read -r it; do [ -n \"$it\" ] && { it=${it#=}; return; }; done; exit 0; }\n"
    "answer; model=$it; answer; ctx=$it; answer; draft=$it; answer; port=$it; answer; key=$it\n"
    "if [ -n \"$anc\" ]; then\n"
    "  set -- --model \"$model\" --models \"$dir\" --beat \"${silence}s\"\n"
    "  [ -n \"$ctx\" ] && set -- \"$@\" --ctx \"$ctx\"\n"
    "  [ -n \"$draft\" ] && set -- \"$@\" --draft \"$draft\"\n"
    "  [ -n \"$port\" ] && set -- \"$@\" --listen \"127.0.0.1:$port\"\n"
    "  exec \"$anc\" private \"$@\"\n"
    "fi\n";

// A bare llama-server knows nothing of us, so two processes watch over it and over each other: one
// reads the beats, one counts the seconds since. Either ends the engine when the other is gone.
static const char bare[] =
    "case $server in *.exe) model=$(wslpath -w \"$model\")\n"
    "  [ -n \"$draft\" ] && draft=$(wslpath -w \"$draft\") ;; esac\n"
    "case $draft in ''|/*) ;; *) draft=$dir/$draft ;; esac\n"
    "flags=$(\"$server\" --help 2>&1 </dev/null)\n"
    "has() { case $flags in *\"$1\"*) return 0 ;; esac; return 1; }\n"
    "set -- -m \"$model\" --host 127.0.0.1 --port \"${port:-0}\"\n"
    "if [ -n \"$ctx\" ]; then set -- \"$@\" -c \"$ctx\"\n"
    "elif ! has '--fit '; then set -- \"$@\" -c 32768; fi\n"
    "has --jinja && set -- \"$@\" --jinja\n"
    "has --no-webui && set -- \"$@\" --no-webui\n"
    "has --offline && set -- \"$@\" --offline\n"
    "if [ -n \"$draft\" ]; then\n"
    "  set -- \"$@\" -md \"$draft\"\n"
    "  has --spec-type && set -- \"$@\" --spec-type draft-simple\n"
    "fi\n"
    "flags=\n"
    "guard=\n"
    "setpriv --pdeathsig KILL true 2>/dev/null && guard='setpriv --pdeathsig KILL'\n"
    "exec 3<&0\n"
    "LLAMA_API_KEY=$key $guard \"$server\" \"$@\" </dev/null 3<&- 2>&1 &\n"
    "engine=$! main=$$ key=\n"
    "end() {\n"
    "  kill -TERM $engine; n=0\n"
    "  while kill -0 $engine && [ $n -lt 5 ]; do sleep 0.1 || sleep 1; n=$((n+1)); done\n"
    "  kill -KILL $engine\n"
    "} 2>/dev/null\n"
    "trap 'quiet=0' USR1\n"
    "(\n"
    "  trap '' HUP INT TERM PIPE\n"
    "  while IFS= read -r it <&3; do kill -USR1 $main 2>/dev/null || break; done\n"
    "  end\n"
    ") &\n"
    "beats=$! quiet=0\n"
    "exec 3<&- </dev/null\n"
    "trap 'quiet=$silence' HUP INT TERM\n"
    "trap '' PIPE\n"
    "while kill -0 $engine && kill -0 $beats && [ $quiet -lt $silence ]; do\n"
    "  sleep 1 & nap=$!\n"
    "  wait $nap; quiet=$((quiet+1))\n"
    "  kill $nap\n"
    "done 2>/dev/null\n"
    "end\n"
    "kill -KILL $beats 2>/dev/null\n"
    "wait $engine 2>/dev/null\n"
    "say ended $?\n";

// In single quotes, such that sh, bash, zsh and fish read the same.
static void quote(struct buf *out, const char *word) {
    buf_adds(out, "'");
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            buf_adds(out, "'\\''");
        else if (*p == '\\') // fish takes \\ for one, even inside quotes
            buf_adds(out, "'\\\\'");
        else
            buf_add(out, p, 1);
    }
    buf_adds(out, "'");
}

char *far_wsl_path(const char *path) {
    if (!isalpha((unsigned char)path[0]) || path[1] != ':' ||
        (path[2] != '\\' && path[2] != '/' && path[2] != '\0'))
        return NULL;
    char *mapped = mem_printf("/mnt/%c%s", tolower((unsigned char)path[0]), path + 2);
    for (char *p = mapped; *p; p++)
        if (*p == '\\')
            *p = '/';
    return mapped;
}

void far_command(struct buf *out, const struct far_asked *asked) {
    const char *models = asked->models ? asked->models : "~/models";
    char *mapped = far_wsl_path(models), *script = mem_printf("%s%s", head, bare);
    char silence[16];
    struct buf number;
    buf_init(&number, sizeof silence);
    buf_printf(&number, "%d", FAR_SILENCE_S);
    const char *const words[] = {script, "local-claude", models, mapped ? mapped : "",
                                 asked->llama_server ? asked->llama_server : "",
                                 buf_text(&number)};
    buf_adds(out, "exec sh -c");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        buf_adds(out, " ");
        quote(out, words[i]);
    }
    buf_fini(&number);
    mem_free(script);
    mem_free(mapped);
}
