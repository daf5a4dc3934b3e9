/*
 * A service of qrexec as a program, for the services that clients run by their path with data on standard input: the link NAME to this program is service
 * NAME, and `mgmtd-rpc NAME [ARGUMENT]` is too. Source and target come from qrexec's environment; standard input becomes the payload, and what mgmtd answers
 * goes to standard output. Of a console the frame is taken off: who opens it by qrexec gets the terminal, and a refusal on standard error. Exit status: 0 with a
 * reply, whatever it says; 1 without; 2 for wrong usage. MGMT_SOCKET names another socket of mgmtd.
 *
 *     header = SERVICE "+" ARGUMENT SP SOURCE SP ( "name" SP VM / "keyword" SP WORD ) NUL
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONSOLE "admin.vm.Console"
#define DEFAULT_SOCKET "/run/mgmtd/mgmtd.sock"

enum { HEADER_MOST = 4096, PIECE = 65536, OK = 0, NO_REPLY = 1, USAGE = 2 };

/* One direction: what was read and is not written yet. */
struct flow {
    int from, to;
    size_t at, end;
    int ended;
    char bytes[PIECE];
};

static struct flow s_out, s_in;

/* How much of the frame of a console's reply, "0" and a NUL, is still to be taken off. */
static int frame_left;

static void say(const char *what, const char *why)
{
    fprintf(stderr, "mgmtd-rpc: %s%s%s\n", what, *why ? ": " : "", why);
}

/* A word with a space or a NUL in it would shift those after it. */
static int is_word(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-:@+";

    return text && *text && text[strspn(text, allowed)] == '\0';
}

/* The length of the header with its NUL, or 0 when there is none, after a line that says why. */
static size_t make_header(char *header, const char *service, const char *argument)
{
    const char *type = getenv("QREXEC_REQUESTED_TARGET_TYPE"), *source = getenv("QREXEC_REMOTE_DOMAIN");
    int is_keyword = type && strcmp(type, "keyword") == 0;
    const char *target = getenv(is_keyword ? "QREXEC_REQUESTED_TARGET_KEYWORD" : "QREXEC_REQUESTED_TARGET");
    int length;

    if (!is_word(service) || strchr(service, '+') || (*argument && !is_word(argument))) {
        say("the service or its argument has characters that no name has", "");
        return 0;
    }
    if (!is_word(source) || !is_word(target)) {
        say("QREXEC_REMOTE_DOMAIN or the requested target is missing, or has characters that no name has", "");
        return 0;
    }
    length = snprintf(header, HEADER_MOST, "%s+%s %s %s %s", service, argument, source, is_keyword ? "keyword" : "name", target);
    if (length < 0 || length >= HEADER_MOST) {
        say("the header is too long", "");
        return 0;
    }
    return (size_t)length + 1;
}

static int connect_daemon(void)
{
    const char *path = getenv("MGMT_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    path = path && *path ? path : DEFAULT_SOCKET;
    if (strlen(path) >= sizeof address.sun_path)
        errno = ENAMETOOLONG;
    else {
        strcpy(address.sun_path, path);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
    }
    say(path, strerror(errno));
    return -1;
}

/* Writes what can be written now: -1 when nobody takes it any more. Standard output is a pipe, a socket or a file. */
static int put(struct flow *flow)
{
    size_t rest = flow->end - flow->at;
    ssize_t put = send(flow->to, flow->bytes + flow->at, rest, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (put < 0 && errno == ENOTSOCK)
        put = write(flow->to, flow->bytes + flow->at, rest < PIPE_BUF ? rest : PIPE_BUF);
    if (put < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    flow->at += (size_t)put;
    return 0;
}

/* Reads when there is nothing left to write; an error is an end. */
static void get(struct flow *flow)
{
    ssize_t got = read(flow->from, flow->bytes, sizeof flow->bytes);

    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    flow->at = 0;
    flow->end = got > 0 ? (size_t)got : 0;
    flow->ended = got <= 0;
}

/* -1 when the reply is no console but a refusal, of which nothing was taken then. */
static int take_frame_off(void)
{
    for (; frame_left > 0 && s_out.at < s_out.end; s_out.at++, frame_left--)
        if (s_out.bytes[s_out.at] != (frame_left == 2 ? '0' : '\0'))
            return -1;
    return 0;
}

/* exception = "2" NUL type NUL traceback NUL format NUL *( field NUL ): the format with its fields, when all of it is in one piece. */
static void tell_refusal(void)
{
    char *end = s_out.bytes + s_out.end, *format = s_out.bytes, *field, *at;
    int i;

    while (s_out.end < sizeof s_out.bytes) {
        ssize_t got = read(s_out.from, s_out.bytes + s_out.end, sizeof s_out.bytes - s_out.end);

        if (got <= 0)
            break;
        s_out.end += (size_t)got;
        end = s_out.bytes + s_out.end;
    }
    for (i = 0; i < 3 && format; i++) {
        format = memchr(format, '\0', (size_t)(end - format));
        format = format && format + 1 < end ? format + 1 : NULL;
    }
    if (s_out.bytes[0] != '2' || end[-1] != '\0' || !format) {
        say("no answer", "");
        return;
    }
    field = format + strlen(format) + 1;
    fputs("mgmtd-rpc: ", stderr);
    for (at = format; *at; at++) {
        if (at[0] == '%' && at[1] == 's' && field < end) {
            fputs(field, stderr);
            field += strlen(field) + 1;
            at++;
        } else {
            fputc(*at, stderr);
            at += at[0] == '%' && at[1] == '%';
        }
    }
    fputc('\n', stderr);
}

/* Neither direction waits for the other: a call that is refused is answered before its data has ended, and then nobody waits for the rest. */
static int carry(int daemon)
{
    int replied = 0, sends = 1;

    s_out.from = daemon;
    s_out.to = STDOUT_FILENO;
    while (!s_out.ended) {
        struct pollfd fds[] = {
            { .fd = !sends ? -1 : s_in.at < s_in.end ? daemon : STDIN_FILENO, .events = s_in.at < s_in.end ? POLLOUT : POLLIN },
            { .fd = s_out.at < s_out.end ? STDOUT_FILENO : daemon, .events = s_out.at < s_out.end ? POLLOUT : POLLIN },
        };

        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (sends && fds[0].revents) {
            if (s_in.at < s_in.end)
                sends = put(&s_in) == 0; /* it did not want the rest; what it answers counts */
            else
                get(&s_in);
            if (sends && s_in.ended) {
                shutdown(daemon, SHUT_WR);
                sends = 0;
            }
        }
        if (fds[1].revents) {
            if (s_out.at < s_out.end) {
                if (put(&s_out) < 0)
                    return NO_REPLY;
            } else {
                get(&s_out);
                replied = replied || s_out.end > 0;
                if (take_frame_off() < 0) {
                    tell_refusal();
                    return NO_REPLY;
                }
            }
        }
    }
    return replied && frame_left == 0 ? OK : NO_REPLY;
}

int main(int argc, char **argv)
{
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
    int first = 1, daemon;

    name = name ? name + 1 : argc > 0 ? argv[0] : "";
    if (strcmp(name, "mgmtd-rpc") == 0) {
        name = argc > 1 ? argv[1] : "";
        first = 2;
    }
    if (argc > first + 1 || !*name) {
        say("usage: mgmtd-rpc SERVICE [ARGUMENT], or a link SERVICE to it with [ARGUMENT]", "");
        return USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    s_in.from = STDIN_FILENO;
    s_in.end = make_header(s_in.bytes, name, argc > first ? argv[first] : "");
    if (s_in.end == 0)
        return USAGE;
    daemon = connect_daemon();
    if (daemon < 0)
        return NO_REPLY;
    s_in.to = daemon;
    frame_left = strcmp(name, CONSOLE) == 0 ? 2 : 0;
    return carry(daemon);
}
