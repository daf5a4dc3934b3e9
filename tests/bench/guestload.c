/*
 * guestload: what it takes to call from a guest, and the bare things that this is compared with. One static program, for guests and for the host.
 *
 *     guestload spawn COUNT [-i FILE] [-e TEXT] PROGRAM [ARG…]            runs it COUNT times, one after the other
 *     guestload crowd CLIENTS SECONDS [-i FILE] [-e TEXT] PROGRAM [ARG…]  so many at a time, again and again
 *     guestload call SOCKET TEXT [FILE]   one call on a Unix socket: connects, sends, half-closes, copies what comes to standard output
 *     guestload port DEVICE SEND TAKE     opens a port, writes SEND bytes, reads TAKE bytes
 *     guestload end SOCKET TAKE GIVE      the other end of a port, for ever: reads TAKE bytes, writes GIVE bytes
 *
 * A run is from the spawn (posix_spawn, by name in PATH) to the end of the process; its input is FILE, or nothing. Each prints a line: its microseconds, or "failed" and why,
 * also when its output does not begin with TEXT (\0 is a zero byte). Exit status 1 when any failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 65536 + 8 }; /* a message of data with its header */

extern char **environ;
static const char *input = "/dev/null";
static char expected[64];
static size_t expected_length;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "guestload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static size_t unescape(const char *text, char *to, size_t room)
{
    size_t length = 0;
    for (; *text && length < room; text++) {
        int zero = text[0] == '\\' && text[1] == '0';
        to[length++] = zero ? '\0' : *text;
        text += zero;
    }
    return length;
}

/* One run; NULL, or why it failed. */
static const char *run(char **command)
{
    static char why[64];
    char block[BLOCK], begin[sizeof expected];
    size_t begun = 0;
    int ends[2], status;
    pid_t child;
    ssize_t got;
    posix_spawn_file_actions_t actions;

    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    int error = posix_spawnp(&child, command[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return strerror(error);
    }
    while ((got = read(ends[0], block, sizeof block)) > 0) {
        size_t keep = (size_t)got < expected_length - begun ? (size_t)got : expected_length - begun;
        memcpy(begin + begun, block, keep);
        begun += keep;
    }
    close(ends[0]);
    if (waitpid(child, &status, 0) < 0)
        fail("waitpid");
    if (status != 0) {
        snprintf(why, sizeof why, WIFEXITED(status) ? "exit code %d" : "signal %d", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        return why;
    }
    return begun == expected_length && memcmp(begin, expected, begun) == 0 ? NULL : "another output";
}

/* A short line is one write, so that those of several processes do not mix. */
static int timed_run(char **command)
{
    char line[128];
    uint64_t began = now_us();
    const char *why = run(command);
    int length = why ? snprintf(line, sizeof line, "failed: %s\n", why) : snprintf(line, sizeof line, "%llu\n", (unsigned long long)(now_us() - began));
    if (write(1, line, (size_t)length) != length)
        fail("write");
    return why != NULL;
}

static int spawn(long count, char **command)
{
    int failed = 0;
    while (count-- > 0)
        failed |= timed_run(command);
    return failed;
}

static int crowd(long clients, double seconds, char **command)
{
    uint64_t until = now_us() + (uint64_t)(seconds * 1e6);
    int failed = 0, status;
    for (long i = 0; i < clients; i++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0) {
            while (now_us() < until)
                failed |= timed_run(command);
            _exit(failed);
        }
    }
    while (wait(&status) > 0)
        failed |= status != 0;
    return failed;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof address.sun_path)
        errno = ENAMETOOLONG, fail(path);
    strcpy(address.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail(path);
    return fd;
}

static void give(int fd, uint64_t bytes)
{
    static char block[BLOCK];
    while (bytes > 0) {
        ssize_t n = write(fd, block, bytes < sizeof block ? bytes : sizeof block);
        if (n <= 0)
            fail("write");
        bytes -= (uint64_t)n;
    }
}

static void take(int fd, uint64_t bytes)
{
    static char block[BLOCK];
    while (bytes > 0) {
        ssize_t n = read(fd, block, bytes < sizeof block ? bytes : sizeof block);
        if (n <= 0)
            fail("read");
        bytes -= (uint64_t)n;
    }
}

static int call(const char *path, const char *text, const char *payload)
{
    char block[BLOCK];
    int fd = connect_to(path), file = payload ? open(payload, O_RDONLY) : -1;
    size_t length = unescape(text, block, sizeof block);
    ssize_t n = (ssize_t)length;
    if (payload && file < 0)
        fail(payload);
    do
        if (write(fd, block, (size_t)n) != n)
            fail("send");
    while (payload && (n = read(file, block, sizeof block)) > 0);
    if (shutdown(fd, SHUT_WR) < 0)
        fail("send");
    while ((n = read(fd, block, sizeof block)) > 0)
        if (write(1, block, (size_t)n) != n)
            fail("write");
    return n < 0;
}

static uint64_t number(const char *text) { return strtoull(text, NULL, 10); }

static _Noreturn void usage(void)
{
    fputs("usage: guestload spawn COUNT | crowd CLIENTS SECONDS [-i FILE] [-e TEXT] PROGRAM [ARG...] | call SOCKET TEXT [FILE] | port DEVICE SEND TAKE | end SOCKET TAKE GIVE\n", stderr);
    exit(2);
}

int main(int count, char **arguments)
{
    const char *what = count > 2 ? arguments[1] : "";
    int fd, option;
    if (strcmp(what, "call") == 0 && (count == 4 || count == 5))
        return call(arguments[2], arguments[3], arguments[4]);
    if (strcmp(what, "port") == 0 && count == 5) {
        if ((fd = open(arguments[2], O_RDWR)) < 0)
            fail(arguments[2]);
        give(fd, number(arguments[3]));
        take(fd, number(arguments[4]));
        return 0;
    }
    if (strcmp(what, "end") == 0 && count == 5) {
        fd = connect_to(arguments[2]);
        for (;;) {
            take(fd, number(arguments[3]));
            give(fd, number(arguments[4]));
        }
    }
    optind = strcmp(what, "crowd") == 0 ? 4 : 3;
    while (optind < count && (option = getopt(count, arguments, "+i:e:")) != -1) {
        if (option == 'i')
            input = optarg;
        else if (option == 'e')
            expected_length = unescape(optarg, expected, sizeof expected);
        else
            usage();
    }
    if (optind >= count)
        usage();
    if (strcmp(what, "spawn") == 0)
        return spawn(atol(arguments[2]), arguments + optind);
    if (strcmp(what, "crowd") == 0)
        return crowd(atol(arguments[2]), atof(arguments[3]), arguments + optind);
    usage();
}
