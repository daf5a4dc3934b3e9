/* The loop of a command: its streams and the port. Neither direction waits for the other. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

enum { PORT, CHILD, IN, OUT, ERR, COUNT };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void put_message(struct session *session, uint32_t type, const void *body, size_t length)
{
    struct header header = { type, (uint32_t)length };

    memcpy(session->send, &header, HEADER_SIZE);
    if (length > 0)
        memcpy(session->send + HEADER_SIZE, body, length);
    session->send_at = 0;
    session->send_end = HEADER_SIZE + length;
}

/* What was read and not sent becomes the next message. */
static void frame(struct session *session)
{
    if (session->send_at < session->send_end || session->raw_at == session->raw_end)
        return;
    size_t piece = data_piece(session->raw + session->raw_at, session->raw_end - session->raw_at);
    put_message(session, session->raw_type, session->raw + session->raw_at, piece);
    session->raw_at += piece;
}

static bool is_sent(const struct session *session)
{
    return session->send_at == session->send_end && session->raw_at == session->raw_end;
}

/* Reads from the child; its end is a message too. */
static void read_child(struct session *session, int *fd, uint32_t type)
{
    ssize_t got = read(*fd, session->raw, sizeof session->raw);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    session->raw_type = type;
    session->raw_at = 0;
    session->raw_end = got > 0 ? (size_t)got : 0;
    if (got <= 0) {
        put_message(session, type, NULL, 0);
        close_fd(fd);
    }
}

static void write_child(struct session *session)
{
    ssize_t written = write(session->child_in, session->in_bytes + session->in_at, session->in_end - session->in_at);

    if (written >= 0)
        session->in_at += (size_t)written;
    else if (errno != EAGAIN && errno != EINTR) {
        /* It does not want any more: what comes is thrown away. */
        close_fd(&session->child_in);
        session->in_at = session->in_end;
    }
    if (session->in_at == session->in_end)
        session->in_at = session->in_end = 0;
}

static int send_some(struct session *session)
{
    ssize_t written = write(session->port, session->send + session->send_at, session->send_end - session->send_at);

    if (written > 0)
        session->send_at += (size_t)written;
    return written < 0 && errno != EAGAIN && errno != EINTR ? -1 : 0;
}

static int turn(struct session *session)
{
    bool has_room = session->in_end < sizeof session->in_bytes;
    bool sends = session->send_at < session->send_end;
    struct pollfd fds[COUNT] = {
        [PORT] = { .fd = session->port, .events = (short)((has_room ? POLLIN : 0) | (sends ? POLLOUT : 0)) },
        [CHILD] = { .fd = is_sent(session) ? session->child_fd : -1, .events = POLLIN },
        [IN] = { .fd = session->in_at < session->in_end ? session->child_in : -1, .events = POLLOUT },
        [OUT] = { .fd = is_sent(session) ? session->child_out : -1, .events = POLLIN },
        [ERR] = { .fd = is_sent(session) ? session->child_err : -1, .events = POLLIN },
    };

    if (poll(fds, COUNT, -1) < 0)
        return errno == EINTR ? 0 : -1;
    if (fds[PORT].revents & POLLHUP)
        return -1;
    if (fds[IN].revents)
        write_child(session);
    if (fds[OUT].revents)
        read_child(session, &session->child_out, MSG_DATA_STDOUT);
    else if (fds[ERR].revents)
        read_child(session, &session->child_err, MSG_DATA_STDERR);
    else if (fds[CHILD].revents && session->child_out >= 0) {
        /* It has ended and said all; what it left behind may hold its output open for ever. */
        put_message(session, MSG_DATA_STDOUT, NULL, 0);
        close_fd(&session->child_out);
    } else if (fds[CHILD].revents && session->child_err >= 0)
        close_fd(&session->child_err);
    frame(session);
    if (fds[PORT].revents & POLLIN && session_receive(session) < 0)
        return -1;
    if (session->child_in < 0)
        session->in_at = session->in_end = 0;
    if (session->in_ended && session->in_at == session->in_end)
        close_fd(&session->child_in);
    return !session->restarts && fds[PORT].revents & POLLOUT && session->send_at < session->send_end ? send_some(session) : 0;
}

/* Whether it has ended: its exit code. */
static bool has_ended(struct session *session, int32_t *code)
{
    int status;

    if (session->child_out >= 0 || session->child_err >= 0 || !is_sent(session) || waitpid(session->child, &status, WNOHANG) != session->child)
        return false;
    session->child = 0;
    *code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

static int finish(struct session *session, int32_t code)
{
    session->stage = SESSION_IDLE;
    return write_message(session->port, MSG_DATA_EXIT_CODE, &code, sizeof code);
}

/* What was not taken is nobody's any more; and no more is read from the port than there is room for. After a new mark it is the next command's. */
static void forget_input(struct session *session)
{
    if (!session->restarts)
        session->in_at = session->in_end = 0;
}

/* Nobody waits for it any more. */
static void abandon(struct session *session)
{
    forget_input(session);
    close_fd(&session->child_in);
    close_fd(&session->child_out);
    close_fd(&session->child_err);
    if (session->child > 0) {
        kill(-session->child, SIGHUP);
        /* Whoever does not listen is not listened to. */
        kill(-session->child, SIGKILL);
        waitpid(session->child, NULL, 0);
    }
    close_fd(&session->child_fd);
    session->child = 0;
    session->raw_at = session->raw_end = session->send_at = session->send_end = 0;
}

int session_run(struct session *session)
{
    int32_t code = command_start(session);
    int result = 0;

    if (code >= 0) {
        forget_input(session);
        return write_message(session->port, MSG_DATA_STDOUT, NULL, 0) < 0 ? -1 : finish(session, code);
    }
    if (session->type == MSG_JUST_EXEC) {
        close_fd(&session->child_in);
        close_fd(&session->child_out);
        close_fd(&session->child_err);
        session->child = 0;
        forget_input(session);
        return finish(session, 0);
    }
    session->stage = SESSION_RUNS;
    session->restarts = false;
    session->child_fd = (int)syscall(SYS_pidfd_open, session->child, 0);
    if (session->in_ended && session->in_at == session->in_end)
        close_fd(&session->child_in);
    while (result == 0 && !session->restarts && !has_ended(session, &code))
        result = turn(session);
    if (result == 0 && !session->restarts)
        result = finish(session, code);
    abandon(session);
    session->restarts = false;
    return result;
}
