/* What the host asks for: a command of a user's, or a service. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "service.h"

#define SERVICE_WORD "QUBESRPC "
#define NOGUI_WORD "nogui:"
#define DEFAULT_USER "DEFAULT"
#define SESSION_SERVICE "qubes.WaitForSession"

extern char **environ;

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

static _Noreturn void become(const struct user *user, const char *command, const struct service *service)
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
        execl(service->path, service->path, service->argument, (char *)NULL);
    else if (service)
        execl(service->path, service->path, (char *)NULL);
    else
        execl(user->shell, user->shell, "-c", command, (char *)NULL);
    fprintf(stderr, "mgmt-agent: %s: %s\n", service ? service->path : user->shell, strerror(errno));
    _exit(errno == ENOENT ? EXIT_NO_SERVICE : EXIT_FAILED);
}

/* Where the guest has a service that waits for a user's session, it is run before: as the agent, and told the user. */
static void wait_for_session(const struct user *user)
{
    char path[PATH_SIZE];
    int words[2];

    if (find_in(service_directories, SESSION_SERVICE, path) != 0 || pipe(words) < 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        dup2(words[0], STDIN_FILENO);
        close(words[0]);
        close(words[1]);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        execl(path, path, (char *)NULL);
        _exit(EXIT_NO_SERVICE);
    }
    close(words[0]);
    dprintf(words[1], "%s\n", user->name);
    close(words[1]);
    if (child > 0)
        waitpid(child, NULL, 0);
}

static int find_user(const char *name, struct user *user)
{
    if (strcmp(name, DEFAULT_USER) == 0)
        return user_find("user", user) < 0 ? user_find("root", user) : 0;
    return user_find(name, user);
}

static int start_service(struct session *session, const char *user_name, char *text, bool has_session)
{
    static struct service service;
    struct user user;
    int code;

    if (service_parse(text, &service) < 0)
        return EXIT_FAILED;
    if ((code = service_find(&service)) != 0)
        return code;
    if (find_user(*service.config.force_user ? service.config.force_user : user_name, &user) < 0)
        return *service.config.force_user ? EXIT_REFUSED : EXIT_FAILED;
    int made = session_fork(session);
    if (made != 0)
        return made < 0 ? EXIT_FAILED : -1;
    if (service.config.wait_for_session && has_session)
        wait_for_session(&user);
    if (service.is_socket)
        socket_run(&service);
    become(&user, NULL, &service);
}

int command_start(struct session *session)
{
    char *colon = strchr(session->command, ':');
    char *command = colon ? colon + 1 : NULL;
    struct user user;

    if (!colon)
        return EXIT_FAILED;
    *colon = '\0';
    bool has_session = strncmp(command, NOGUI_WORD, strlen(NOGUI_WORD)) != 0;
    if (!has_session)
        command += strlen(NOGUI_WORD);
    if (strncmp(command, SERVICE_WORD, strlen(SERVICE_WORD)) == 0)
        return start_service(session, session->command, command + strlen(SERVICE_WORD), has_session);
    if (find_user(session->command, &user) < 0)
        return EXIT_FAILED;
    int made = session_fork(session);
    if (made == 0)
        become(&user, command, NULL);
    return made < 0 ? EXIT_FAILED : -1;
}
