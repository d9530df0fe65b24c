#define _GNU_SOURCE
#include "units.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char header[] =
    "# Written by `ancalagon setup`, which keeps your changes: an edited file is never overwritten.\n"
    "# For changes that outlive updates better use: systemctl --user edit UNIT\n";

// What an engine needs stays open: GPU device nodes, the home folder for reading (models, engine
// builds), memory that is written and then run (CUDA and Vulkan compile shaders), sockets of three
// families, netlink for device discovery. NoNewPrivileges keeps nvidia-modprobe (setuid) from
// loading the driver: that must have happened at boot.
//
// A user manager may drop capabilities and mount only inside a user namespace, so PrivateUsers
// comes with the rest. Left out because of what systemd 252 makes of them together with it (tried):
// ProtectProc and ProtectControlGroups put an empty /run over the one with our sockets, so the
// service is never taken for ready; ProtectKernelTunables, ProtectKernelLogs and PrivateIPC fail to
// start at all in a container. To a user those files are closed anyway.
static const char sandbox[] =
    "NoNewPrivileges=yes\n"
    "PrivateUsers=yes\n"
    "CapabilityBoundingSet=\n"
    "ProtectSystem=strict\n"
    "ProtectHome=read-only\n"
    "ProtectKernelModules=yes\n"
    "ProtectClock=yes\n"
    "ProtectHostname=yes\n"
    "RestrictNamespaces=yes\n"
    "RestrictRealtime=yes\n"
    "RestrictSUIDSGID=yes\n"
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
    "LockPersonality=yes\n"
    "KeyringMode=private\n"
    "SystemCallArchitectures=native\n"
    "SystemCallFilter=@system-service\n"
    "SystemCallFilter=~@privileged\n"
    "SystemCallFilter=seccomp\n" // engines get a filter of their own from us
    "SystemCallErrorNumber=EPERM\n"
    "UMask=0077\n";

const char *const units_namespace_properties[] = {
    "PrivateUsers=yes",      "CapabilityBoundingSet=", "ProtectSystem=strict",
    "ProtectHome=read-only", "PrivateTmp=yes",         "ProtectKernelModules=yes",
    "ProtectClock=yes",      "ProtectHostname=yes",    NULL,
};

// An empty CapabilityBoundingSet= adds nothing; "~" inverted and empty means: all of them.
void units_no_namespaces(struct buf *out) {
    buf_adds(out, header);
    buf_adds(out,
             "# This machine refused the sandbox that needs a user namespace (Ubuntu's AppArmor\n"
             "# rule for them does). What the kernel enforces without one stays on.\n"
             "[Service]\n"
             "PrivateUsers=no\n"
             "CapabilityBoundingSet=~\n"
             "ProtectSystem=no\n"
             "ProtectHome=no\n"
             "PrivateTmp=no\n"
             "ProtectKernelModules=no\n"
             "ProtectClock=no\n"
             "ProtectHostname=no\n"
             "ReadWritePaths=\n");
}

// Percent signs are specifiers and dollars are variables, also inside quotes.
void units_quote(struct buf *out, const char *word) {
    buf_adds(out, "\"");
    for (const char *p = word; *p; p++) {
        if (*p == '%' || *p == '$')
            buf_add(out, p, 1);
        else if (*p == '"' || *p == '\\')
            buf_adds(out, "\\");
        if (*p == '\n')
            buf_adds(out, "\\n");
        else
            buf_add(out, p, 1);
    }
    buf_adds(out, "\"");
}

void units_instance(struct buf *out, const char *name) {
    for (const char *p = name; *p; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr(":-_.@", *p);
        if (plain)
            buf_add(out, p, 1);
        else
            buf_printf(out, "\\x%02x", (unsigned char)*p);
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *units_instance_name(const char *instance) {
    char *name = mem_alloc(strlen(instance) + 1), *end = name;
    for (const char *p = instance; *p; p++) {
        int high = -1, low = -1;
        if (p[0] == '\\' && p[1] == 'x' && p[2] && p[3]) {
            high = hex_digit(p[2]);
            low = hex_digit(p[3]);
        }
        if (high >= 0 && low >= 0) {
            *end++ = (char)(high * 16 + low);
            p += 3;
        } else {
            *end++ = *p;
        }
    }
    return name;
}

char *units_folder(void) {
    char *own = path_config(""); // .../ancalagon
    char *folder = mem_printf("%.*s/systemd/user", (int)(strrchr(own, '/') - own), own);
    mem_free(own);
    return folder;
}

static void exec_line(struct buf *out, const struct units_env *env, const char *command,
                      const char *more) {
    buf_adds(out, "ExecStart=");
    units_quote(out, env->program);
    buf_printf(out, " %s --config ", command);
    units_quote(out, env->config);
    buf_printf(out, "%s\n", more);
}

bool units_installed_for(const char *config) {
    char *folder = units_folder();
    char *path = path_join(folder, "ancalagon.service");
    char *text = path_read_file(path, 64 * 1024, NULL, NULL);
    struct buf wanted;
    buf_init(&wanted, 16 * 1024);
    buf_adds(&wanted, "--config ");
    units_quote(&wanted, config);
    bool installed = text && strstr(text, buf_text(&wanted));
    buf_fini(&wanted);
    mem_free(text);
    mem_free(path);
    mem_free(folder);
    return installed;
}

// A /tmp of its own, unless something of ours is in the common one.
static void private_tmp(struct buf *out, const struct units_env *env) {
    const char *const paths[] = {env->program, env->config, env->state, env->cache,
                                 getenv("XDG_RUNTIME_DIR")};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (paths[i] && (str_starts(paths[i], "/tmp/") || str_starts(paths[i], "/var/tmp/")))
            return;
    buf_adds(out, "PrivateTmp=yes\n");
}

// The user manager does not see the shell's variables; those that move our folders go along.
static void environment(struct buf *out) {
    static const char *const names[] = {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME",
                                        "ANCALAGON_ENGINE", "ANCALAGON_MODELS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value)
            continue;
        // Environment= expands specifiers but no variables, so a dollar stays one.
        buf_printf(out, "Environment=\"%s=", names[i]);
        for (const char *p = value; *p; p++) {
            if (*p == '%')
                buf_adds(out, "%");
            else if (*p == '"' || *p == '\\')
                buf_adds(out, "\\");
            if (*p != '\n')
                buf_add(out, p, 1);
        }
        buf_adds(out, "\"\n");
    }
}

static void writable(struct buf *out, const char *path) {
    buf_adds(out, "ReadWritePaths=\"-");
    for (const char *p = path; *p; p++) {
        if (*p == '%')
            buf_adds(out, "%");
        else if (*p == '"' || *p == '\\')
            buf_adds(out, "\\");
        buf_add(out, p, 1);
    }
    buf_adds(out, "\"\n");
}

void units_service(struct buf *out, const struct units_env *env) {
    buf_adds(out, header);
    buf_adds(out, "[Unit]\n"
                  "Description=Ancalagon, local language models on one port\n"
                  "Requires=ancalagon.socket\n"
                  "After=ancalagon.socket\n"
                  "\n[Service]\n"
                  "Type=notify\n"
                  "NotifyAccess=main\n");
    exec_line(out, env, "serve", "");
    buf_adds(out, "ExecReload=/bin/kill -HUP $MAINPID\n"
                  "WatchdogSec=30\n"
                  "Restart=on-failure\n"
                  "RestartSec=1\n"
                  "# 3: the presets file is wrong; trying again will not help.\n"
                  "RestartPreventExitStatus=3\n"
                  "# The server ends its engines itself; what is left after that is killed.\n"
                  "KillMode=mixed\n"
                  "TimeoutStopSec=45\n"
                  "# An engine that ran out of memory is no reason to stop the server.\n"
                  "OOMPolicy=continue\n"
                  "RuntimeDirectory=ancalagon\n"
                  "RuntimeDirectoryMode=0700\n"
                  "RuntimeDirectoryPreserve=yes\n");
    environment(out);
    writable(out, env->state);
    writable(out, env->cache);
    buf_adds(out, "# Compiled shaders are kept here by the GPU drivers.\n"
                  "ReadWritePaths=-%h/.nv -%h/.cache/nvidia -%h/.cache/mesa_shader_cache\n\n");
    buf_adds(out, sandbox);
    private_tmp(out, env);
    buf_adds(out, "\n[Install]\nAlso=ancalagon.socket\n");
}

void units_socket(struct buf *out, const struct config *config) {
    const char *host = config->listen_host;
    bool wide = strchr(host, ':') != NULL;
    buf_adds(out, header);
    buf_printf(out,
               "[Unit]\n"
               "Description=The port of Ancalagon; the first request starts the server\n"
               "\n[Socket]\n"
               "ListenStream=%s%s%s:%u\n"
               "FileDescriptorName=http\n"
               "NoDelay=yes\n",
               wide ? "[" : "", host, wide ? "]" : "", config->listen_port);
    if (wide)
        buf_adds(out, "BindIPv6Only=ipv6-only\n");
    if (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0)
        buf_adds(out, "# The address may come up later than we do (Tailscale, Wi-Fi).\n"
                      "FreeBind=yes\n");
    buf_adds(out, "\n[Install]\nWantedBy=sockets.target\n");
}

void units_template(struct buf *out, const struct units_env *env) {
    buf_adds(out, header);
    buf_adds(out, "[Unit]\n"
                  "Description=Ancalagon preset %i\n"
                  "Requires=ancalagon.service\n"
                  "After=ancalagon.service\n"
                  "\n[Service]\n"
                  "Type=notify\n"
                  "NotifyAccess=main\n");
    exec_line(out, env, "hold", " -- \"%i\"");
    buf_adds(out,
             "# Loading takes as long as it takes; the server has its own limit (load-timeout).\n"
             "TimeoutStartSec=infinity\n"
             "# Running requests are finished first.\n"
             "TimeoutStopSec=10min\n");
    environment(out);
    buf_adds(out, "\n");
    buf_adds(out, sandbox);
    private_tmp(out, env);
    buf_adds(out, "\n[Install]\nWantedBy=default.target\n");
}

// One ordering a pair is enough for systemd to stop the old before it starts the new, whichever way
// it points; one direction only, so that no cycle is left to think about.
void units_conflicts(struct buf *out, const struct config *config, const struct preset *preset) {
    buf_adds(out, header);
    buf_printf(out, "[Unit]\nDescription=Ancalagon preset %s\n", preset->name);
    const char *relation = "After";
    for (size_t i = 0; i < config->presets_count; i++) {
        const struct preset *other = &config->presets[i];
        if (other == preset) {
            relation = "Before";
            continue;
        }
        if (strcmp(other->group, preset->group) != 0)
            continue;
        buf_adds(out, "Conflicts=ancalagon@");
        units_instance(out, other->name);
        buf_printf(out, ".service\n%s=ancalagon@", relation);
        units_instance(out, other->name);
        buf_adds(out, ".service\n");
    }
}
