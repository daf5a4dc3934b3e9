/* Opening a port is the lock: the second open fails with EBUSY. Where there is vsock, a stream to the host will do for a port. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "client.h"

#define DIRECTORY "/dev/virtio-ports"
#define NAME "org.mgmt.qrexec"

enum { HOST_PORT = 512, FIRST_PAUSE_MS = 4, LONGEST_PAUSE_MS = 500, SAY_AFTER_MS = 2000, GIVE_UP_MS = 120000 };

/* Nobody at the other end, or the daemon has just gone. */
static bool has_host(int port)
{
    struct pollfd state = { .fd = port, .events = POLLIN };

    return poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP);
}

static bool has_vsock(void)
{
    return access("/dev/vsock", F_OK) == 0;
}

/* A stream to the host; -1: it does not listen, or is not reached that way. */
static int try_vsock(void)
{
    struct sockaddr_vm host = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = HOST_PORT };
    int fd = has_vsock() ? socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

    /* A host that does not answer is waited for two seconds by the kernel. */
    if (fd >= 0 && connect(fd, (struct sockaddr *)&host, sizeof host) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The first port that opens and has a host; -1: none now. *busy: at least one is in use. */
static int try_ports(bool *busy)
{
    *busy = false;
    for (unsigned i = 0;; i++) {
        int port = port_open(DIRECTORY, NAME, i);
        if (port >= 0) {
            if (has_host(port))
                return port;
            close(port);
        } else if (errno == EBUSY) {
            *busy = true;
        } else if (errno == ENOENT && (i > 0 || has_vsock())) {
            return -1;
        } else if (errno != EINTR) {
            fprintf(stderr, "qrexec-client-vm: %s/%s.%u: %s\n", DIRECTORY, NAME, i, strerror(errno));
            exit(1);
        }
    }
}

int choose_port(void)
{
    int64_t began = now_ms();
    long pause = FIRST_PAUSE_MS;
    bool said = false;

    for (;;) {
        bool busy;
        int port = try_ports(&busy);
        if (port >= 0 || (port = try_vsock()) >= 0)
            return port;
        int64_t waited = now_ms() - began;
        const char *why = busy ? "all channels to the host are in use" : "the host does not answer";
        if (waited > GIVE_UP_MS) {
            fprintf(stderr, "qrexec-client-vm: %s\n", why);
            exit(EXIT_FAILED);
        }
        if (!said && waited > SAY_AFTER_MS) {
            fprintf(stderr, "qrexec-client-vm: %s; waiting\n", why);
            said = true;
        }
        /* Of several that wait the pauses drift apart. */
        unsigned char chance;
        random_bytes(&chance, 1);
        long ms = pause / 2 + pause * chance / 512;
        struct timespec wait = { ms / 1000, ms % 1000 * 1000000 };
        nanosleep(&wait, NULL);
        pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
    }
}
