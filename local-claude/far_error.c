#define _GNU_SOURCE
#include "far_error.h"

#include "private_server.h"

#include <string.h>

// What follows the word, when it is this one; else NULL.
static const char *after(const char *told, const char *word) {
    size_t length = strlen(word);
    return strncmp(told, word, length) == 0 && told[length] == ' ' ? told + length + 1 : NULL;
}

void far_error_told(struct err *err, const char *host, const char *told) {
    const char *what;
    if ((what = after(told, "windows-path")))
        err_set(err, ERR_INVALID,
                "%s is not WSL, where %.200s would be a folder; name one of its own: "
                "REMOTE_MODELS_DIR",
                host, what);
    else if ((what = after(told, "no-folder")))
        err_set(err, ERR_NOTFOUND,
                "there is no folder %.200s on %s; say where its models are: REMOTE_MODELS_DIR",
                what, host);
    else if ((what = after(told, "no-server")))
        err_set(err, ERR_NOTFOUND,
                "%s has neither ancalagon nor llama-server on PATH or in ~/.local/bin, nor "
                "%.200s; install one there, or name it: LLAMA_SERVER",
                host, what);
    else if ((what = after(told, "list")))
        err_set(err, ERR_SYSTEM, "ancalagon on %s cannot list the models: %.300s", host, what);
    else
        err_set(err, ERR_PEER, "%s: %.400s", host, told);
}

static const struct {
    const char *said;
    enum err_code code;
    const char *meaning; // after "HOST: "
} ssh_errors[] = {
    {"Could not resolve hostname", ERR_NOTFOUND,
     "there is no machine of that name (REMOTE_SSH_HOST is what ssh takes: user@box, or a Host of "
     "~/.ssh/config)"},
    {"Permission denied", ERR_DENIED,
     "it takes none of our keys; try: ssh-copy-id, ssh-add, or User and IdentityFile in "
     "~/.ssh/config"},
    {"Too many authentication failures", ERR_DENIED,
     "it takes none of our keys, and we have too many; name one: IdentityFile and IdentitiesOnly "
     "in ~/.ssh/config"},
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", ERR_DENIED,
     "its host key is another one than before; see ~/.ssh/known_hosts"},
    {"Host key verification failed", ERR_DENIED,
     "its host key is not known; connect once by hand (ssh) and look at it"},
    {"Connection refused", ERR_PEER, "no ssh server listens there"},
    {"Connection timed out", ERR_TIMEOUT, "it does not answer"},
    {"No route to host", ERR_PEER, "there is no way to it"},
    {"Network is unreachable", ERR_PEER, "there is no way to it"},
    {"is not recognized", ERR_INVALID,
     "its login shell is one of Windows; make ssh start a shell of WSL there (the registry's "
     "DefaultShell of OpenSSH: bash.exe)"},
    {"CommandNotFoundException", ERR_INVALID,
     "its login shell is PowerShell; make ssh start a shell of WSL there (the registry's "
     "DefaultShell of OpenSSH: bash.exe)"},
};

void far_error_ended(struct err *err, const char *host, const char *printed) {
    char words[300];
    last_words(printed, words, sizeof words);
    for (size_t i = 0; i < sizeof ssh_errors / sizeof *ssh_errors; i++)
        if (strstr(printed, ssh_errors[i].said)) {
            err_set(err, ssh_errors[i].code, "%s: %s (%.200s)", host, ssh_errors[i].meaning, words);
            return;
        }
    err_set(err, ERR_PEER, "%s: %s", host, words[0] ? words : "the connection ended");
}
