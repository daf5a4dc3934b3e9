/* Services of this guest, below qubes-rpc, and their configuration below rpc-config. The full name counts before the bare one, in all directories. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.h"
#include "service.h"

enum { MAX_NAME = 255 };

const char *const service_directories[DIRECTORIES] = { "/run/qubes-rpc", "/usr/local/etc/qubes-rpc", "/etc/qubes-rpc" };

static const char *const config_directories[DIRECTORIES] = { "/run/qubes/rpc-config", "/usr/local/etc/qubes/rpc-config", "/etc/qubes/rpc-config" };

int find_in(const char *const directories[DIRECTORIES], const char *name, char path[PATH_SIZE])
{
    struct stat kind;

    if (strlen(name) > MAX_NAME || strchr(name, '/'))
        return EXIT_NO_SERVICE;
    for (size_t i = 0; i < DIRECTORIES; i++) {
        snprintf(path, PATH_SIZE, "%s/%s", directories[i], name);
        if (lstat(path, &kind) == 0)
            return 0;
        if (errno != ENOENT && errno != ENOTDIR)
            return EXIT_FAILED;
    }
    return EXIT_NO_SERVICE;
}

static int find_either(const char *const directories[DIRECTORIES], const struct service *service, char path[PATH_SIZE])
{
    int code = find_in(directories, service->full, path);

    return code == EXIT_NO_SERVICE ? find_in(directories, service->name, path) : code;
}

int service_find(struct service *service)
{
    char config[PATH_SIZE];
    struct stat kind;
    int code = find_either(service_directories, service, service->path);

    if (code != 0)
        return code;
    if (stat(service->path, &kind) < 0 || !(S_ISREG(kind.st_mode) || S_ISSOCK(kind.st_mode)))
        return EXIT_FAILED;
    service->is_socket = S_ISSOCK(kind.st_mode);
    memset(&service->config, 0, sizeof service->config);
    code = find_either(config_directories, service, config);
    if (code == 0)
        return config_read(config, &service->config) < 0 ? EXIT_REFUSED : 0;
    return code == EXIT_NO_SERVICE ? 0 : EXIT_REFUSED;
}

int service_parse(char *text, struct service *service)
{
    char *space = strchr(text, ' ');
    static char full[MAX_COMMAND + 2], name[MAX_COMMAND + 1];

    if (!space || space == text)
        return -1;
    *space = '\0';
    service->source = space + 1;
    service->source[strcspn(service->source, " ")] = '\0';
    char *plus = strchr(text, '+');
    size_t length = plus ? (size_t)(plus - text) : strlen(text);
    memcpy(name, text, length);
    name[length] = '\0';
    snprintf(full, sizeof full, "%s%s", text, plus ? "" : "+");
    service->full = full;
    service->name = name;
    service->argument = strchr(full, '+') + 1;
    return length > 0 ? 0 : -1;
}
