/* Opening a port is the lock: the second open fails with EBUSY. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

#define DIRECTORY "/dev/virtio-ports"
#define NAME "org.mgmt.qrexec"

enum { FIRST_PAUSE_MS = 4, LONGEST_PAUSE_MS = 500, SAY_AFTER_MS = 2000, GIVE_UP_MS = 120000 };

/* Nobody at the other end, or the daemon has just gone. */
static bool has_host(int port)
{
    struct pollfd state = { .fd = port, .events = POLLIN };

    return poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP);
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
        } else if (errno == ENOENT && i > 0) {
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
        if (port >= 0)
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
