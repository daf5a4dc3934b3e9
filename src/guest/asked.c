/* A command that the host asks for, in the hands of the agent: a process that asks the bridge for a data channel and carries its bytes. In the place of mgmt-agent's own way to run one. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent.h"
#include "bridge.h"

#define DEFAULT_WORD "DEFAULT:"

enum { CONNECT_MS = 60000, HELLO_S = 10, OLDEST = 2, SHORT_DATA = 4096 };

int command_socket = -1;

/* A message with one descriptor beside it. */
static int send_fd(int socket, const void *bytes, size_t length, int fd)
{
    struct iovec part = { (void *)bytes, length };
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr aligned; } control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)length ? 0 : -1;
}

static ssize_t receive_fd(int socket, void *bytes, size_t size, int *fd)
{
    struct iovec part = { bytes, size };
    union { char bytes[CMSG_SPACE(sizeof(int))]; struct cmsghdr aligned; } control;
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *rights = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    *fd = -1;
    if (rights && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(rights), sizeof *fd);
    return *fd >= 0 ? length : -1;
}

ssize_t command_take(int socket, struct bridge_command *command, int *asker)
{
    ssize_t length = receive_fd(socket, command, sizeof *command, asker);

    return length < 0 ? -1 : length - (ssize_t)offsetof(struct bridge_command, text);
}

void command_answer(int asker, int vchan)
{
    /* Whoever asked may be gone; then the end of the channel tells the agent. */
    send_fd(asker, "", 1, vchan);
    close(asker);
    close(vchan);
}

/* The data channel; -1: there is no agent, or it does not come. */
static int ask(uint32_t type, const char *text)
{
    struct bridge_command command = { .type = type };
    size_t length = strlen(text) + 1;
    int ends[2], vchan;
    char answer;

    if (length > sizeof command.text) {
        fputs("mgmt-vchan-bridge: the command is too long for the agent\n", stderr);
        return -1;
    }
    memcpy(command.text, text, length);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 || send_fd(command_socket, &command, offsetof(struct bridge_command, text) + length, ends[1]) < 0)
        return -1;
    close(ends[1]);
    struct pollfd ready = { .fd = ends[0], .events = POLLIN };
    while (poll(&ready, 1, CONNECT_MS) < 0 && errno == EINTR)
        ;
    if (!ready.revents || receive_fd(ends[0], &answer, 1, &vchan) < 0) {
        fputs("mgmt-vchan-bridge: the agent does not connect\n", stderr);
        return -1;
    }
    return vchan;
}

/* Here the host is first to greet. The version that both speak, or 0. */
static uint32_t greet(int vchan)
{
    const uint32_t ours = PROTOCOL;
    struct timeval limit = { HELLO_S, 0 }, none = { 0, 0 };
    struct header header;
    uint32_t theirs;

    setsockopt(vchan, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (write_message(vchan, MSG_HELLO, &ours, sizeof ours) < 0 || read_all(vchan, &header, sizeof header) < 0 || header.type != MSG_HELLO
        || header.length != sizeof theirs || read_all(vchan, &theirs, sizeof theirs) < 0 || theirs < OLDEST)
        return 0;
    setsockopt(vchan, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    return theirs < ours ? theirs : ours;
}

static _Noreturn void carry_input(int vchan)
{
    unsigned char block[AGENT_RING];
    ssize_t got;

    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    while ((got = read(STDIN_FILENO, block, sizeof block)) > 0)
        if (write_message(vchan, MSG_DATA_STDIN, block, (uint32_t)got) < 0)
            _exit(0);
    (void)!write_message(vchan, MSG_DATA_STDIN, NULL, 0);
    _exit(0);
}

/* A body that goes to a stream; its end closes that. -1: the agent is gone, or whoever reads the stream. */
static int carry_body(int vchan, int to, uint32_t length)
{
    unsigned char block[AGENT_RING];

    if (length == 0)
        close(to);
    for (uint32_t piece; length > 0; length -= piece) {
        piece = length < sizeof block ? length : (uint32_t)sizeof block;
        if (read_all(vchan, block, piece) < 0 || write_all(to, block, piece) < 0)
            return -1;
    }
    return 0;
}

/* What the agent says until its exit code, which is given; EXIT_FAILED when it does not come to that. */
static int carry_output(int vchan, uint32_t version)
{
    struct header header;
    int32_t code;

    while (read_all(vchan, &header, sizeof header) == 0 && header.length <= (version < 3 ? SHORT_DATA : MAX_DATA)) {
        if (header.type == MSG_DATA_EXIT_CODE)
            return header.length == sizeof code && read_all(vchan, &code, sizeof code) == 0 ? code : EXIT_FAILED;
        if (header.type != MSG_DATA_STDOUT && header.type != MSG_DATA_STDERR)
            return EXIT_FAILED;
        if (carry_body(vchan, header.type == MSG_DATA_STDOUT ? STDOUT_FILENO : STDERR_FILENO, header.length) < 0)
            return EXIT_FAILED;
    }
    return EXIT_FAILED;
}

static _Noreturn void carry(uint32_t type, const char *command)
{
    int vchan = ask(type, command);
    uint32_t version = vchan < 0 ? 0 : greet(vchan);

    if (version == 0)
        _exit(EXIT_FAILED);
    pid_t input = fork();
    if (input == 0)
        carry_input(vchan);
    close(STDIN_FILENO);
    int code = input < 0 ? EXIT_FAILED : carry_output(vchan, version);
    if (input > 0)
        kill(input, SIGKILL);
    _exit(code & 0xff);
}

int command_start(struct session *session)
{
    struct user user;
    char *command = session->command;

    /* The agent knows no default user. It is whom mgmt-agent would take. */
    if (strncmp(command, DEFAULT_WORD, strlen(DEFAULT_WORD)) == 0) {
        const char *name = user_find("user", &user) == 0 ? "user" : "root";
        memmove(command + strlen(name), command + strlen(DEFAULT_WORD) - 1, strlen(command + strlen(DEFAULT_WORD) - 1) + 1);
        memcpy(command, name, strlen(name));
    }
    int made = session_fork(session);
    if (made == 0)
        carry(session->type, command);
    return made < 0 ? EXIT_FAILED : -1;
}
