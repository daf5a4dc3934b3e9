/* vchan-agent DIRECTORY DOMAIN TARGET SERVICE: a double of an agent of Qubes OS and its client, for one call. Its vchan sockets are as libvchan-socket makes them: a server takes one
 * connection, the file stays. The messages are those of qubes-core-qrexec 4.4. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

int main(int argc, char **argv)
{
    static unsigned char body[65536];
    struct header header;
    uint32_t port = 0;
    ssize_t got;

    if (argc != 5)
        return 2;
    directory = argv[1];
    domain = argv[2];
    int control = accept(serve(512), NULL, NULL);
    greet(control);
    memcpy(body + 64, argv[3], strlen(argv[3]));
    memcpy(body + 128, "SOCKET13", 8);
    memcpy(body + 160, argv[4], strlen(argv[4]));
    put(control, 0x213, body, 160 + strlen(argv[4]) + 1);
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
