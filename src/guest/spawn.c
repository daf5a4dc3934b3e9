/* A process for what the host asks for, and the streams between the two. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

/* Pairs for the three streams: [0] ours, [1] the child's. */
static int make_pairs(int pairs[3][2])
{
    for (int i = 0; i < 3; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]) < 0) {
            while (i-- > 0) {
                close(pairs[i][0]);
                close(pairs[i][1]);
            }
            return -1;
        }
    return 0;
}

int session_fork(struct session *session)
{
    int pairs[3][2];

    if (make_pairs(pairs) < 0)
        return -1;
    session->child = fork();
    if (session->child == 0) {
        int nothing = session->type == MSG_JUST_EXEC ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
        for (int i = 0; i < 3; i++)
            dup2(nothing < 0 ? pairs[i][1] : nothing, i);
        for (int i = 0; i < 3; i++) {
            close(pairs[i][0]);
            close(pairs[i][1]);
        }
        close(session->port);
        /* A session of its own: what it leaves behind ends with it. */
        setsid();
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        close(pairs[i][1]);
        fcntl(pairs[i][0], F_SETFL, O_NONBLOCK);
    }
    session->child_in = pairs[0][0];
    session->child_out = pairs[1][0];
    session->child_err = pairs[2][0];
    return session->child < 0 ? -1 : 1;
}
