/* vchan-agent DIRECTORY DOMAIN TARGET SERVICE: a double of an agent of Qubes OS and its client, for one call.
 * vchan-agent DIRECTORY DOMAIN: of an agent that is asked for commands, one after the other: each says what it is and then what it is told, "oops" on its standard error, and ends with 5.
 * Its vchan sockets are as libvchan-socket makes them: a server takes one connection, the file stays; a client tries until somebody listens, and reads into a ring of 4096 bytes, in which a whole
 * body has to fit. The messages are those of qubes-core-qrexec 4.4. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct header {
    uint32_t type, length;
};

static const char *directory, *domain;

static int serve(int port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/vchan.%s.0.%d.sock", directory, domain, port);
    unlink(address.sun_path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0) {
        perror(address.sun_path);
        exit(1);
    }
    return fd;
}

static void get(int fd, void *to, size_t length)
{
    char *at = to;

    while (length > 0) {
        ssize_t got = read(fd, at, length);
        if (got <= 0) {
            fprintf(stderr, "vchan connection closed early\n");
            exit(255);
        }
        at += got;
        length -= (size_t)got;
    }
}

static void put(int fd, uint32_t type, const void *body, size_t length)
{
    struct header header = { type, (uint32_t)length };

    if (write(fd, &header, sizeof header) != sizeof header || write(fd, body, length) != (ssize_t)length)
        exit(255);
}

static void greet(int fd)
{
    uint32_t version = 4;
    struct header header;

    put(fd, 0x300, &version, sizeof version);
    get(fd, &header, sizeof header);
    get(fd, &version, sizeof version);
    if (header.type != 0x300 || header.length != 4 || version < 3)
        exit(254);
}

static int dial(uint32_t port)
{
    const struct timespec pause = { 0, 100000 };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s/vchan.0.%s.%u.sock", directory, domain, port);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        nanosleep(&pause, NULL);
    return fd;
}

static void get_body(int fd, struct header *header, void *body)
{
    get(fd, header, sizeof *header);
    if (header->length > 4096) {
        fprintf(stderr, "a body of %u bytes is never in the ring\n", header->length);
        exit(251);
    }
    get(fd, body, header->length);
}

/* A command: its channel is a process's, which may be told that it is over before it begins. */
static void execute(uint32_t port, const char *command)
{
    static unsigned char body[4096];
    struct header header;
    int32_t code = 5;
    int data = dial(port);

    greet(data);
    put(data, 0x191, command, strlen(command));
    put(data, 0x191, "\n", 1);
    for (get_body(data, &header, body); header.type == 0x190 && header.length > 0; get_body(data, &header, body))
        put(data, 0x191, body, header.length);
    put(data, 0x192, "oops\n", 5);
    put(data, 0x191, NULL, 0);
    put(data, 0x192, NULL, 0);
    put(data, 0x193, &code, sizeof code);
    exit(0);
}

static int be_asked(int control)
{
    static unsigned char body[4097];
    struct header header;

    for (;;) {
        uint32_t place[2] = { 0, 0 };
        memset(body, 0, sizeof body);
        get_body(control, &header, body);
        memcpy(&place[1], body + 4, sizeof place[1]);
        if (header.type != 0x200 || header.length < 9 || memcmp(body, place, sizeof place) != 0)
            return 250;
        pid_t child = fork();
        if (child == 0)
            execute(place[1], (char *)body + 8);
        waitpid(child, NULL, 0);
        put(control, 0x211, place, sizeof place);
    }
}

static int call(int control, const char *target, const char *service)
{
    static unsigned char body[65536];
    struct header header;
    uint32_t port = 0;
    ssize_t got;

    memcpy(body + 64, target, strlen(target));
    memcpy(body + 128, "SOCKET13", 8);
    memcpy(body + 160, service, strlen(service));
    put(control, 0x213, body, 160 + strlen(service) + 1);
    get(control, &header, sizeof header);
    get(control, body, header.length);
    if (header.type == 0x203 && memcmp(body, "SOCKET13", 9) == 0) {
        fprintf(stderr, "Request refused\n");
        return 126;
    }
    memcpy(&port, body + 4, sizeof port);
    if (header.type != 0x202 || header.length != 40 || memcmp(body + 8, "SOCKET13", 9) != 0 || port != 513)
        return 253;
    int data = accept(serve((int)port), NULL, NULL);
    greet(data);
    while ((got = read(0, body, sizeof body)) > 0)
        put(data, 0x190, body, (size_t)got);
    put(data, 0x190, body, 0);
    for (;;) {
        get(data, &header, sizeof header);
        get(data, body, header.length);
        if (header.type == 0x193) {
            int32_t code;
            uint32_t place[2] = { 0, port };
            memcpy(&code, body, sizeof code);
            put(control, 0x211, place, sizeof place);
            return code;
        }
        if (header.type == 0x191 && write(1, body, header.length) != (ssize_t)header.length)
            return 252;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 5)
        return 2;
    directory = argv[1];
    domain = argv[2];
    int control = accept(serve(512), NULL, NULL);
    greet(control);
    return argc == 3 ? be_asked(control) : call(control, argv[3], argv[4]);
}
