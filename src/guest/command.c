/* What the host asks for: a command of a user's, or a service of /etc/qubes-rpc. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define SERVICE_WORD "QUBESRPC "
#define NOGUI_WORD "nogui:"
#define DEFAULT_USER "DEFAULT"

enum { MAX_NAME = 255 };

extern char **environ;

static const char *const directories[] = { "/run/qubes-rpc", "/usr/local/etc/qubes-rpc", "/etc/qubes-rpc" };

/* SERVICE[+ARGUMENT] SOURCE, cut into its parts. */
struct service {
    char *full;     /* with + and argument */
    char *name;
    char *argument; /* may be empty */
    char *source;
};

/* The file of a name in the directories: 0, EXIT_NO_SERVICE or EXIT_FAILED. */
static int find_file(const char *name, char path[4096])
{
    struct stat kind;

    if (strlen(name) > MAX_NAME || strchr(name, '/'))
        return EXIT_NO_SERVICE;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        snprintf(path, 4096, "%s/%s", directories[i], name);
        if (lstat(path, &kind) == 0)
            return stat(path, &kind) == 0 && S_ISREG(kind.st_mode) ? 0 : EXIT_FAILED;
        if (errno != ENOENT && errno != ENOTDIR)
            return EXIT_FAILED;
    }
    return EXIT_NO_SERVICE;
}

static int find_service(const struct service *service, char path[4096])
{
    int code = find_file(service->full, path);

    return code == EXIT_NO_SERVICE ? find_file(service->name, path) : code;
}

/* Parts of TEXT, which is changed; -1 when it has not these parts. */
static int parse_service(char *text, struct service *service)
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

static void clear_environment(void)
{
    for (char **entry = environ; *entry;) {
        size_t length = strcspn(*entry, "=");
        char name[256];
        if (strncmp(*entry, "QREXEC", 6) == 0 && length < sizeof name) {
            memcpy(name, *entry, length);
            name[length] = '\0';
            unsetenv(name);
            entry = environ;
        } else {
            entry++;
        }
    }
}

static void set_environment(const struct user *user, const struct service *service)
{
    char agent[32];

    clear_environment();
    snprintf(agent, sizeof agent, "%d", (int)getppid());
    setenv("QREXEC_AGENT_PID", agent, 1);
    setenv("HOME", user->home, 1);
    setenv("SHELL", user->shell, 1);
    setenv("USER", user->name, 1);
    setenv("LOGNAME", user->name, 1);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    if (service) {
        setenv("QREXEC_REMOTE_DOMAIN", service->source, 1);
        setenv("QREXEC_SERVICE_FULL_NAME", service->full, 1);
        setenv("QREXEC_SERVICE_ARGUMENT", service->argument, 1);
        setenv("QREXEC_REQUESTED_TARGET_TYPE", "", 1);
    }
}

static _Noreturn void become(const struct user *user, const char *command, const struct service *service, const char *path)
{
    signal(SIGPIPE, SIG_DFL);
    set_environment(user, service);
    if (user_become(user) < 0) {
        fprintf(stderr, "mgmt-agent: cannot become %s: %s\n", user->name, strerror(errno));
        _exit(EXIT_FAILED);
    }
    if (chdir(user->home) < 0 && chdir("/") < 0)
        _exit(EXIT_FAILED);
    if (service && *service->argument)
        execl(path, path, service->argument, (char *)NULL);
    else if (service)
        execl(path, path, (char *)NULL);
    else
        execl(user->shell, user->shell, "-c", command, (char *)NULL);
    fprintf(stderr, "mgmt-agent: %s: %s\n", service ? path : user->shell, strerror(errno));
    _exit(errno == ENOENT ? EXIT_NO_SERVICE : EXIT_FAILED);
}

static int spawn(struct session *session, const struct user *user, const char *command, const struct service *service, const char *path)
{
    int made = session_fork(session);

    if (made == 0)
        become(user, command, service, path);
    return made < 0 ? EXIT_FAILED : -1;
}

int command_start(struct session *session)
{
    char *colon = strchr(session->command, ':');
    char *command = colon ? colon + 1 : NULL;
    char path[4096];
    struct service service;
    struct user user;

    if (!colon)
        return EXIT_FAILED;
    *colon = '\0';
    if (strncmp(command, NOGUI_WORD, strlen(NOGUI_WORD)) == 0)
        command += strlen(NOGUI_WORD);
    if (strcmp(session->command, DEFAULT_USER) == 0 ? user_find("user", &user) < 0 && user_find("root", &user) < 0 : user_find(session->command, &user) < 0)
        return EXIT_FAILED;
    if (strncmp(command, SERVICE_WORD, strlen(SERVICE_WORD)) != 0)
        return spawn(session, &user, command, NULL, NULL);
    if (parse_service(command + strlen(SERVICE_WORD), &service) < 0)
        return EXIT_FAILED;
    int code = find_service(&service, path);
    return code != 0 ? code : spawn(session, &user, command, &service, path);
}
