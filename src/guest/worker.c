/* A process per port org.mgmt.agent.N, which takes what the host asks for, one command at a time. How it is run is command_start's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

#define DIRECTORY "/dev/virtio-ports"
#define NAME "org.mgmt.agent"

enum { FIXED = 8, PAUSE_S = 1 };

static const unsigned char no_nonce[NONCE_SIZE];

/* Waits for a host without looking again and again: a write that may block is taken when one connects. */
static void announce(struct session *session)
{
    int flags = fcntl(session->port, F_GETFL);

    session->in.state = IN_SKIP;
    session->stage = SESSION_IDLE;
    fcntl(session->port, F_SETFL, flags & ~O_NONBLOCK);
    while (write_preamble(session->port, no_nonce) < 0)
        sleep(PAUSE_S);
    fcntl(session->port, F_SETFL, flags);
}

static void serve(struct session *session)
{
    struct pollfd port = { .fd = session->port, .events = POLLIN };

    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (session->stage == SESSION_ASKED) {
            if (session_run(session) < 0)
                return;
            continue;
        }
        if (poll(&port, 1, -1) < 0 && errno != EINTR)
            return;
        if (port.revents & POLLHUP || (port.revents & POLLIN && session_receive(session) < 0))
            return;
        session->restarts = false;
    }
}

void worker_run(unsigned i)
{
    struct session *session = calloc(1, sizeof *session);

    if (!session || !(session->command = malloc(FIXED + MAX_COMMAND)))
        exit(1);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    session->in = (struct incoming){ .handler = &session_handler, .context = session };
    session->child_in = session->child_out = session->child_err = session->child_fd = -1;
    while ((session->port = port_open(DIRECTORY, NAME, i)) < 0) {
        if (errno != EBUSY && errno != EINTR) {
            fprintf(stderr, "%s: %s/%s.%u: %s\n", program_invocation_short_name, DIRECTORY, NAME, i, strerror(errno));
            exit(1);
        }
        sleep(PAUSE_S);
    }
    for (;;) {
        announce(session);
        serve(session);
    }
}

bool worker_has_port(unsigned i)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s.%u", DIRECTORY, NAME, i);
    return access(path, F_OK) == 0;
}
