/*
 * bootwait: milliseconds until a guest's agent answers, printed as one number.
 *
 *     bootwait mgmtd SOCKET VM                 from sending mgmt.vm.Start to the event agent-state agent=ready
 *     bootwait bare AGENT_SOCKET QEMU ARG…     from starting QEMU to the answer to guest-ping; QEMU is killed then
 *
 * Gives up after two minutes with status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what)
{
    fprintf(stderr, "bootwait: %s: %s\n", what, strerror(errno));
    if (child > 0)
        kill(child, SIGKILL);
    exit(1);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fail("path too long");
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static int call(const char *path, const char *request, size_t size)
{
    int fd = connect_to(path);
    if (fd < 0 || send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size || shutdown(fd, SHUT_WR) < 0)
        fail(path);
    return fd;
}

/* Reads until the bytes have come, the time is over (0), or the other side has closed (-1). */
static int wait_for(int fd, const char *bytes, size_t size, double until_ms)
{
    static char buffer[1 << 16];
    static size_t held;
    for (;;) {
        char *found = memmem(buffer, held, bytes, size);
        if (found) {
            held -= (size_t)(found + size - buffer);
            memmove(buffer, found + size, held);
            return 1;
        }
        if (held > sizeof buffer / 2) { /* nothing that is waited for is as long as what stays */
            memmove(buffer, buffer + held - 1024, 1024);
            held = 1024;
        }
        double left = until_ms - now_ms();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&ready, 1, (int)left + 1) == 0)
            return 0;
        ssize_t count = recv(fd, buffer + held, sizeof buffer - held, 0);
        if (count <= 0)
            return -1;
        held += (size_t)count;
    }
}

static double through_mgmtd(const char *path, const char *vm, double until)
{
    char request[512];
    int size = snprintf(request, sizeof request, "mgmt.Events dom0 name dom0%csubject=%s\nevent=agent-state\n", 0, vm);
    int events = call(path, request, (size_t)size);
    if (wait_for(events, "connection-established", 22, until) != 1)
        fail("no event stream");
    size = snprintf(request, sizeof request, "mgmt.vm.Start dom0 name %s%c", vm, 0);
    double began = now_ms();
    int start = call(path, request, (size_t)size);
    if (wait_for(events, "agent\0ready", 12, until) != 1)
        fail("the agent did not become ready");
    double took = now_ms() - began;
    close(start);
    return took;
}

static double bare(const char *path, char **command, double until)
{
    static const char sync_request[] = "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}\n", ping[] = "{\"execute\":\"guest-ping\"}\n";
    unlink(path);
    double began = now_ms();
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(command[0], command);
        _exit(127);
    }
    int fd;
    while ((fd = connect_to(path)) < 0) {
        if (now_ms() > until || waitpid(child, NULL, WNOHANG) == child)
            fail("QEMU did not start");
        usleep(1000);
    }
    int heard;
    do {
        if (send(fd, sync_request, sizeof sync_request - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
            fail("agent");
        heard = wait_for(fd, "{\"return\": 7}", 13, now_ms() + 20);
    } while (heard == 0 && now_ms() < until);
    if (heard != 1 || send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) < 0 || wait_for(fd, "{\"return\": {}}", 14, until) != 1)
        fail("the agent did not answer");
    double took = now_ms() - began;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return took;
}

int main(int count, char **arguments)
{
    double until = now_ms() + 120e3;
    if (count == 4 && strcmp(arguments[1], "mgmtd") == 0) {
        printf("%.0f\n", through_mgmtd(arguments[2], arguments[3], until));
    } else if (count > 3 && strcmp(arguments[1], "bare") == 0) {
        printf("%.0f\n", bare(arguments[2], arguments + 3, until));
    } else {
        fprintf(stderr, "usage: bootwait mgmtd SOCKET VM | bootwait bare AGENT_SOCKET QEMU ARG...\n");
        return 2;
    }
    return 0;
}
