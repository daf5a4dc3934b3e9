/* What the host says on an agent's port: preamble, HELLO, what to run, its input. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

enum { FIXED_SIZE = 8, OLDEST_PROTOCOL = 3 };

static const unsigned char no_nonce[NONCE_SIZE];

static void marked(struct incoming *in)
{
    struct session *session = in->context;

    session->restarts = session->restarts || session->stage != SESSION_IDLE;
    session->stage = SESSION_IDLE;
    session->announces = session->greets = session->is_broken = session->in_ended = false;
    session->in_at = session->in_end = 0;
}

static int opened(struct incoming *in, const unsigned char nonce[NONCE_SIZE])
{
    struct session *session = in->context;

    session->announces = memcmp(nonce, no_nonce, NONCE_SIZE) == 0;
    if (session->announces)
        return 0;
    memcpy(session->nonce, nonce, NONCE_SIZE);
    session->greets = true;
    session->stage = SESSION_OPENED;
    return 1;
}

static bool is_expected(const struct session *session, const struct header *header)
{
    switch (session->stage) {
    case SESSION_OPENED:
        return header->type == MSG_HELLO && header->length == 4;
    case SESSION_GREETED:
        return (header->type == MSG_EXEC_CMDLINE || header->type == MSG_JUST_EXEC)
            && header->length > FIXED_SIZE && header->length <= FIXED_SIZE + MAX_COMMAND;
    case SESSION_ASKED:
    case SESSION_RUNS:
        return header->type == MSG_DATA_STDIN && header->length <= MAX_DATA && !session->in_ended;
    case SESSION_IDLE:
        /* The rest of what was sent to a command that has ended meanwhile. */
        return header->type == MSG_DATA_STDIN && header->length <= MAX_DATA;
    default:
        return false;
    }
}

static int begin(struct incoming *in)
{
    struct session *session = in->context;

    session->command_length = session->stage < SESSION_ASKED ? 0 : session->command_length;
    session->is_broken = !is_expected(session, &in->header);
    if (!session->is_broken && session->stage >= SESSION_ASKED && in->header.length == 0)
        session->in_ended = true;
    return session->is_broken ? -1 : 0;
}

static int take_hello(struct session *session)
{
    uint32_t version;

    memcpy(&version, session->command, sizeof version);
    session->stage = SESSION_GREETED;
    session->is_broken = version < OLDEST_PROTOCOL;
    return session->is_broken ? -1 : 0;
}

static int take_command(struct session *session, uint32_t type)
{
    /* On Xen the fixed part says where the data go; here they stay where they are. */
    session->command_length -= FIXED_SIZE;
    memmove(session->command, session->command + FIXED_SIZE, session->command_length);
    session->is_broken = memchr(session->command, 0, session->command_length) != session->command + session->command_length - 1;
    session->stage = SESSION_ASKED;
    session->type = type;
    return session->is_broken ? -1 : 0;
}

static int part(struct incoming *in, const unsigned char *bytes, size_t length)
{
    struct session *session = in->context;

    if (in->header.type == MSG_DATA_STDIN) {
        if (session->stage == SESSION_IDLE)
            return 0;
        /* There is room: no more is read from the port than there is. */
        memcpy(session->in_bytes + session->in_end, bytes, length);
        session->in_end += length;
        return 0;
    }
    memcpy(session->command + session->command_length, bytes, length);
    session->command_length += length;
    if (in->left > 0)
        return 0;
    return in->header.type == MSG_HELLO ? take_hello(session) : take_command(session, in->header.type);
}

const struct incoming_handler session_handler = { marked, opened, begin, part };

/* The port is written to in the middle of nothing: whatever was being sent is over. */
static int answer(struct session *session)
{
    const uint32_t version = PROTOCOL;

    if (session->announces && write_preamble(session->port, no_nonce) < 0)
        return -1;
    if (session->greets && (write_preamble(session->port, session->nonce) < 0 || write_message(session->port, MSG_HELLO, &version, sizeof version) < 0))
        return -1;
    session->announces = session->greets = false;
    if (session->is_broken) {
        const int32_t failed = EXIT_FAILED;
        session->is_broken = false;
        session->restarts = session->restarts || session->stage == SESSION_RUNS;
        session->stage = SESSION_IDLE;
        return write_message(session->port, MSG_DATA_EXIT_CODE, &failed, sizeof failed);
    }
    return 0;
}

int session_receive(struct session *session)
{
    unsigned char block[MAX_DATA];
    ssize_t got = read(session->port, block, sizeof session->in_bytes - session->in_end);

    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        return -1;
    if (got > 0)
        incoming_feed(&session->in, block, (size_t)got);
    return answer(session);
}
