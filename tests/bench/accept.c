/*
 * accept: the plainest server of the pattern: one thread, accept, read to the end, answer a constant, close.
 * It does no more than the kernel makes it do and is what the other servers are measured against.
 *
 *     accept SOCKET_PATH
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char reply[] = "0\0default=yes type=int 400"; /* the terminating NUL is not sent */

int main(int count, char **arguments)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (count != 2 || strlen(arguments[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "usage: accept SOCKET_PATH\n");
        return 2;
    }
    strcpy(address.sun_path, arguments[1]);
    unlink(arguments[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
        perror("accept");
        return 1;
    }
    for (;;) {
        char buffer[4096];
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        while (recv(fd, buffer, sizeof buffer, 0) > 0)
            ;
        send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
}
