/* mgmt-vchan-bridge: lets an unmodified agent of Qubes OS, which listens on vchan sockets in this guest, call and be called over the guest's virtio-serial ports. It is to the agent what
 * qrexec-daemon is. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "bridge.h"

enum {
    CONTROL_PORT = 512, FIRST_PORT = 513, PORTS = 256, IDENT_SIZE = 32, NAME_SIZE = 64, MAX_SERVICE = 65000,
    MSG_TRIGGER_SERVICE = 0x210, MSG_TERMINATED = 0x211, MSG_TRIGGER_SERVICE3 = 0x212, PAUSE_MS = 500, MAX_WORKERS = 32
};

/* A data port. A call of the agent's has a process that carries it, which says when the host has answered; a command of the host's has somebody who asked for it. */
struct slot {
    pid_t child;   /* of a call; 0: none */
    int fd;        /* a call's answer, or where the agent is to connect for a command; -1: neither any more */
    int asker;     /* of a command; -1: none */
    bool is_taken; /* the agent has not said yet that the data channel is free */
    unsigned char ident[IDENT_SIZE];
};

static struct slot slots[PORTS] = { [0 ... PORTS - 1] = { .fd = -1, .asker = -1 } };
static pid_t workers[MAX_WORKERS];
static unsigned worker_count;

static size_t free_slot(void)
{
    size_t slot = 0;

    while (slot < PORTS && (slots[slot].is_taken || slots[slot].child > 0))
        slot++;
    return slot;
}

/* It has what it waited for, or will not get it. */
static void settle(size_t slot)
{
    if (slots[slot].fd >= 0)
        close(slots[slot].fd);
    if (slots[slot].asker >= 0) {
        vchan_unlink(FIRST_PORT + (unsigned)slot);
        close(slots[slot].asker);
    }
    slots[slot].fd = slots[slot].asker = -1;
}

/* The agent knows of nothing any more. */
static void forget_all(void)
{
    for (size_t i = 0; i < PORTS; i++) {
        settle(i);
        slots[i].is_taken = false;
        slots[i].child = 0;
    }
}

/* In a process of ours: what is the bridge's alone would stay open with it. */
static void forget_inherited(int control)
{
    close(control);
    close(command_socket);
    for (size_t i = 0; i < PORTS; i++) {
        if (slots[i].fd >= 0)
            close(slots[i].fd);
        if (slots[i].asker >= 0)
            close(slots[i].asker);
    }
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
    size_t slot = free_slot();

    if (slot == PORTS || pipe(answer) < 0)
        return refuse(control, ident);
    pid_t child = fork();
    if (child == 0) {
        forget_inherited(control);
        close(answer[0]);
        bridge_carry(call, FIRST_PORT + (unsigned)slot, answer[1]);
    }
    close(answer[1]);
    if (child < 0) {
        close(answer[0]);
        return refuse(control, ident);
    }
    slots[slot] = (struct slot){ .child = child, .fd = answer[0], .asker = -1, .is_taken = true };
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
        if (slots[port - FIRST_PORT].asker >= 0)
            settle(port - FIRST_PORT);
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
    bool is_accepted = read(slots[slot].fd, &accepted, 1) == 1;

    settle(slot);
    if (is_accepted)
        return accept_call(control, slot);
    slots[slot].is_taken = false;
    return refuse(control, slots[slot].ident);
}

/* Somebody asks for a command of the host's: the agent is to connect to a data channel of which we are the server. */
static int take_command(int control)
{
    struct bridge_command command;
    unsigned char body[AGENT_RING] = { 0 };
    int asker;
    ssize_t length = command_take(command_socket, &command, &asker);
    size_t slot = free_slot();
    uint32_t port = FIRST_PORT + (uint32_t)slot;

    if (length < 0)
        return 0;
    int listener = slot < PORTS && length > 0 ? vchan_listen(port) : -1;
    if (listener < 0) {
        close(asker);
        return 0;
    }
    slots[slot] = (struct slot){ .fd = listener, .asker = asker, .is_taken = true };
    memcpy(body + 4, &port, sizeof port);
    memcpy(body + FIXED_SIZE, command.text, (size_t)length);
    return write_message(control, command.type, body, FIXED_SIZE + (uint32_t)length);
}

/* The agent has connected: it is let in once, also when nobody waits for it any more, to be told so. */
static void take_connection(size_t slot)
{
    int vchan = accept4(slots[slot].fd, NULL, NULL, SOCK_CLOEXEC);

    if (vchan < 0)
        return;
    command_answer(dup(slots[slot].asker), vchan);
    settle(slot);
}

static void reap(void)
{
    pid_t ended;

    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) {
        for (size_t i = 0; i < worker_count; i++)
            if (workers[i] == ended) {
                /* It takes the others along, and init starts all of them anew. */
                fputs("mgmt-vchan-bridge: a process of ours has ended\n", stderr);
                for (size_t j = 0; j < worker_count; j++)
                    kill(workers[j], SIGTERM);
                exit(1);
            }
        for (size_t i = 0; i < PORTS; i++)
            if (slots[i].child == ended)
                slots[i].child = 0;
    }
}

static void serve(int control)
{
    for (;;) {
        struct pollfd fds[PORTS + 2] = { [PORTS] = { .fd = control, .events = POLLIN }, [PORTS + 1] = { .fd = command_socket, .events = POLLIN } };
        for (size_t i = 0; i < PORTS; i++)
            fds[i] = (struct pollfd){ .fd = slots[i].fd, .events = POLLIN };
        if (poll(fds, PORTS + 2, -1) < 0 && errno != EINTR)
            return;
        for (size_t i = 0; i < PORTS; i++) {
            if (fds[i].revents && slots[i].asker >= 0)
                take_connection(i);
            else if (fds[i].revents && take_answer(control, i) < 0)
                return;
        }
        if (fds[PORTS].revents && take_message(control) < 0)
            return;
        if (fds[PORTS + 1].revents & POLLIN && take_command(control) < 0)
            return;
        reap();
    }
}

/* The ports on which the host asks, from the first agent on: what it asks for while there is none waits. */
static void start_workers(int control)
{
    int ends[2];

    if (worker_count > 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return;
    command_socket = ends[0];
    for (pid_t worker; worker_count < MAX_WORKERS && worker_has_port(worker_count); workers[worker_count++] = worker) {
        worker = fork();
        if (worker == 0) {
            forget_inherited(control);
            command_socket = ends[1];
            worker_run(worker_count);
        }
        if (worker < 0)
            break;
    }
    close(ends[1]);
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
        && read_all(control, &theirs, sizeof theirs) == 0 && theirs >= 2 && write_message(control, MSG_HELLO, &version, sizeof version) == 0) {
        start_workers(control);
        serve(control);
    }
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
    vchan_domain = (unsigned)strtoul(number, NULL, 10);
    if (argc > 2)
        vchan_directory = argv[2];
    else if (getenv("VCHAN_SOCKET_DIR"))
        vchan_directory = getenv("VCHAN_SOCKET_DIR");
    signal(SIGPIPE, SIG_IGN);
    /* An agent has helpers that run as its users and connect too; the directory says who may. */
    umask(007);
    for (;;) {
        forget_all();
        greet();
        nanosleep(&pause, NULL);
    }
}
