/* Sockets as libvchan-socket makes them: a server takes one connection, and its file stays. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge.h"

unsigned vchan_domain;
const char *vchan_directory = "/var/run/vchan";

static struct sockaddr_un address_of(unsigned server, unsigned client, unsigned port)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if ((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/vchan.%u.%u.%u.sock", vchan_directory, server, client, port) >= sizeof address.sun_path) {
        fprintf(stderr, "mgmt-vchan-bridge: the path of a vchan socket is too long\n");
        exit(1);
    }
    return address;
}

int vchan_connect(unsigned port)
{
    struct sockaddr_un address = address_of(vchan_domain, 0, port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int vchan_listen(unsigned port)
{
    struct sockaddr_un address = address_of(0, vchan_domain, port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlink(address.sun_path);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0)
        return fd;
    perror(address.sun_path);
    if (fd >= 0)
        close(fd);
    return -1;
}

void vchan_unlink(unsigned port)
{
    unlink(address_of(0, vchan_domain, port).sun_path);
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
