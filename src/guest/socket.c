/* A service that is a socket: it is told what is called and by whom, then what the caller says. It has no error output, and its exit code is 0. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "service.h"

enum { BLOCK = 32768 };

static int open_socket(const struct service *service)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(service->path) >= sizeof address.sun_path) {
        errno = fd < 0 ? errno : ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, service->path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -1;
    if (service->config.skip_descriptor)
        return fd;
    return write_all(fd, service->full, strlen(service->full)) < 0 || write_all(fd, " ", 1) < 0 || write_all(fd, service->source, strlen(service->source) + 1) < 0 ? -1 : fd;
}

/* What the caller says, until its end or until the service takes no more. */
static _Noreturn void carry_input(int service, bool ends_it)
{
    unsigned char block[BLOCK];
    ssize_t got;

    close(STDOUT_FILENO);
    while ((got = read(STDIN_FILENO, block, sizeof block)) > 0)
        if (write_all(service, block, (size_t)got) < 0)
            _exit(0);
    /* What the service has said by then is still read. */
    shutdown(service, ends_it ? SHUT_RDWR : SHUT_WR);
    _exit(0);
}

/* Whether nobody is there any more: it has closed, and not only its output. */
static bool is_closed(int service)
{
    struct pollfd state = { .fd = service };

    return poll(&state, 1, 0) > 0 && state.revents & (POLLHUP | POLLERR);
}

void socket_run(const struct service *service)
{
    unsigned char block[BLOCK];
    ssize_t got;
    int fd = open_socket(service);

    if (fd < 0) {
        fprintf(stderr, "mgmt-agent: %s: %s\n", service->path, strerror(errno));
        _exit(EXIT_FAILED);
    }
    close(STDERR_FILENO);
    pid_t input = fork();
    if (input < 0)
        _exit(EXIT_FAILED);
    if (input == 0)
        carry_input(fd, service->config.exit_on_client_eof);
    close(STDIN_FILENO);
    while ((got = read(fd, block, sizeof block)) > 0)
        if (write_all(STDOUT_FILENO, block, (size_t)got) < 0)
            break;
    close(STDOUT_FILENO);
    /* It may go on to take what the caller says. */
    if (service->config.exit_on_service_eof || is_closed(fd))
        kill(input, SIGKILL);
    waitpid(input, NULL, 0);
    _exit(0);
}
