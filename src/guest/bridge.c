/* mgmt-vchan-bridge: lets an unmodified agent of Qubes OS, which listens on vchan sockets in this guest, call over the guest's virtio-serial ports. It is to the agent what qrexec-daemon is. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge.h"

enum {
    CONTROL_PORT = 512, FIRST_PORT = 513, PORTS = 256, IDENT_SIZE = 32, NAME_SIZE = 64, MAX_SERVICE = 65000,
    MSG_TRIGGER_SERVICE = 0x210, MSG_TERMINATED = 0x211, MSG_TRIGGER_SERVICE3 = 0x212, PAUSE_MS = 500
};

/* A call under way: the process that carries it, and what it says when the host has answered. */
struct slot {
    pid_t child;
    int answer;
    bool is_taken; /* the agent has not said yet that the data channel is free */
    unsigned char ident[IDENT_SIZE];
};

static struct slot slots[PORTS];
static const char *directory = "/var/run/vchan";
static unsigned domain;

int vchan_connect(unsigned port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || (size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/vchan.%u.0.%u.sock", directory, domain, port) >= sizeof address.sun_path) {
        fprintf(stderr, "mgmt-vchan-bridge: the path of a vchan socket is too long\n");
        exit(1);
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

int read_all(int fd, void *to, size_t length)
{
    unsigned char *at = to;

    while (length > 0) {
        ssize_t got = read(fd, at, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        at += got;
        length -= (size_t)got;
    }
    return 0;
}

static int refuse(int control, const unsigned char ident[IDENT_SIZE])
{
    return write_message(control, MSG_SERVICE_REFUSED, ident, IDENT_SIZE);
}

static int accept_call(int control, size_t slot)
{
    unsigned char body[8 + IDENT_SIZE] = { 0 };
    uint32_t port = FIRST_PORT + (uint32_t)slot;

    memcpy(body + 4, &port, sizeof port);
    memcpy(body + 8, slots[slot].ident, IDENT_SIZE);
    return write_message(control, MSG_SERVICE_CONNECT, body, sizeof body);
}

static int start_call(int control, const struct bridge_call *call, const unsigned char ident[IDENT_SIZE])
{
    int answer[2];
    size_t slot = 0;

    while (slot < PORTS && (slots[slot].is_taken || slots[slot].child > 0))
        slot++;
    if (slot == PORTS || pipe(answer) < 0)
        return refuse(control, ident);
    pid_t child = fork();
    if (child == 0) {
        close(control);
        close(answer[0]);
        bridge_carry(call, FIRST_PORT + (unsigned)slot, answer[1]);
    }
    close(answer[1]);
    if (child < 0) {
        close(answer[0]);
        return refuse(control, ident);
    }
    slots[slot] = (struct slot){ .child = child, .answer = answer[0], .is_taken = true };
    memcpy(slots[slot].ident, ident, IDENT_SIZE);
    return 0;
}

static int trigger(int control, uint32_t type, unsigned char *body, uint32_t length)
{
    /* Version 2 has the service first; 3 and 4 have it last, 4 with a source before the target. */
    size_t source = type == MSG_TRIGGER_SERVICE4 ? NAME_SIZE : 0;
    char names[2][NAME_SIZE + 1] = { { 0 } };
    struct bridge_call call = { .source = names[0], .target = names[1] };
    const unsigned char *ident;

    body[length] = '\0';
    if (type == MSG_TRIGGER_SERVICE) {
        memcpy(names[1], body + NAME_SIZE, 32);
        ident = body + NAME_SIZE + 32;
        memmove(body + 2 * NAME_SIZE + 1, ident, IDENT_SIZE);
        ident = body + 2 * NAME_SIZE + 1;
        body[NAME_SIZE] = '\0';
        call.service = (char *)body;
    } else {
        memcpy(names[0], body, source);
        memcpy(names[1], body + source, NAME_SIZE);
        ident = body + source + NAME_SIZE;
        call.service = (char *)body + source + NAME_SIZE + IDENT_SIZE;
    }
    return start_call(control, &call, ident);
}

/* A message of the agent's. -1: it broke the protocol, or is gone. */
static int take_message(int control)
{
    static unsigned char body[2 * NAME_SIZE + IDENT_SIZE + MAX_SERVICE + 64];
    struct header header;
    uint32_t port;

    if (read_all(control, &header, sizeof header) < 0 || header.length > 2 * NAME_SIZE + IDENT_SIZE + MAX_SERVICE || read_all(control, body, header.length) < 0)
        return -1;
    switch (header.type) {
    case MSG_TRIGGER_SERVICE:
        return header.length == 2 * NAME_SIZE ? trigger(control, header.type, body, header.length) : -1;
    case MSG_TRIGGER_SERVICE3:
        return header.length > NAME_SIZE + IDENT_SIZE ? trigger(control, header.type, body, header.length) : -1;
    case MSG_TRIGGER_SERVICE4:
        return header.length > 2 * NAME_SIZE + IDENT_SIZE ? trigger(control, header.type, body, header.length) : -1;
    case MSG_TERMINATED:
        memcpy(&port, body + 4, sizeof port);
        if (header.length != 8 || port < FIRST_PORT || port >= FIRST_PORT + PORTS)
            return -1;
        slots[port - FIRST_PORT].is_taken = false;
        return 0;
    default:
        return -1;
    }
}

/* A process that carries a call has heard from the host, or has ended without. */
static int take_answer(int control, size_t slot)
{
    char accepted;
    bool is_accepted = read(slots[slot].answer, &accepted, 1) == 1;

    close(slots[slot].answer);
    slots[slot].answer = -1;
    if (is_accepted)
        return accept_call(control, slot);
    slots[slot].is_taken = false;
    return refuse(control, slots[slot].ident);
}

static void reap(void)
{
    pid_t ended;

    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
        for (size_t i = 0; i < PORTS; i++)
            if (slots[i].child == ended)
                slots[i].child = 0;
}

static void serve(int control)
{
    for (;;) {
        struct pollfd fds[PORTS + 1] = { { .fd = control, .events = POLLIN } };
        for (size_t i = 0; i < PORTS; i++)
            fds[i + 1] = (struct pollfd){ .fd = slots[i].child > 0 ? slots[i].answer : -1, .events = POLLIN };
        if (poll(fds, PORTS + 1, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < PORTS; i++)
            if (fds[i + 1].revents && take_answer(control, i) < 0)
                return;
        if (fds[0].revents && take_message(control) < 0)
            return;
        reap();
    }
}

static void greet(void)
{
    const uint32_t version = PROTOCOL;
    struct header header;
    uint32_t theirs;
    int control = vchan_connect(CONTROL_PORT);

    if (control < 0)
        return;
    if (read_all(control, &header, sizeof header) == 0 && header.type == MSG_HELLO && header.length == sizeof theirs
        && read_all(control, &theirs, sizeof theirs) == 0 && theirs >= 2 && write_message(control, MSG_HELLO, &version, sizeof version) == 0)
        serve(control);
    close(control);
}

int main(int argc, char **argv)
{
    const char *number = argc > 1 ? argv[1] : getenv("VCHAN_DOMAIN");
    const struct timespec pause = { 0, PAUSE_MS * 1000000L };

    if (argc > 3 || !number || *number < '0' || *number > '9') {
        fprintf(stderr, "usage: %s DOMAIN [DIRECTORY]   the agent's VCHAN_DOMAIN and VCHAN_SOCKET_DIR\n", argv[0]);
        return 2;
    }
    domain = (unsigned)strtoul(number, NULL, 10);
    if (argc > 2)
        directory = argv[2];
    else if (getenv("VCHAN_SOCKET_DIR"))
        directory = getenv("VCHAN_SOCKET_DIR");
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        greet();
        memset(slots, 0, sizeof slots);
        nanosleep(&pause, NULL);
    }
}
