/* The loop of a call: the port, what is to be sent, what is to be given out. Neither direction waits for the other. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client.h"

enum { AGAIN_MS = 2000, HANDSHAKE_MS = 20000 };

/* What is read and not sent becomes a message, or the end of the input does. */
static void frame(struct call *call)
{
    struct header header = { MSG_DATA_STDIN, 0 };

    if (call->stage != CALL_RUNS || call->send_at < call->send_end)
        return;
    call->send_at = call->send_end = 0;
    if (call->read_at < call->read_end) {
        header.length = (uint32_t)data_piece(call->read + call->read_at, call->read_end - call->read_at);
        memcpy(call->send, &header, HEADER_SIZE);
        memcpy(call->send + HEADER_SIZE, call->read + call->read_at, header.length);
        call->read_at += header.length;
        call->send_end = HEADER_SIZE + header.length;
    } else if (call->in_ended && call->in_fd >= 0) {
        memcpy(call->send, &header, HEADER_SIZE);
        call->send_end = HEADER_SIZE;
        close(call->in_fd);
        call->in_fd = -1;
    }
}

static void read_input(struct call *call)
{
    ssize_t got = read(call->in_fd, call->read, sizeof call->read);

    call->read_at = 0;
    call->read_end = got > 0 ? (size_t)got : 0;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        call->in_ended = true;
}

static void send_some(struct call *call)
{
    ssize_t written = write(call->port, call->send + call->send_at, call->send_end - call->send_at);

    if (written > 0)
        call->send_at += (size_t)written;
    else if (written < 0 && errno != EAGAIN && errno != EINTR)
        call->stage = CALL_LOST;
}

/* The kernel gives a page at a time; what is there is taken as a whole. The body of output is read to where it goes: a copy takes an emulated processor longer than the port does. */
static void receive(struct call *call)
{
    unsigned char block[MAX_DATA];
    ssize_t got;

    do {
        size_t room = sizeof call->out - call->out_end;
        if (room == 0)
            return;
        bool is_body = call->in.state == IN_BODY && call->in.header.type == MSG_DATA_STDOUT;
        unsigned char *to = is_body ? call->out + call->out_end : block;
        got = read(call->port, to, is_body && call->in.left < room ? call->in.left : room);
        if (got > 0)
            incoming_feed(&call->in, to, (size_t)got);
    } while (got > 0 && call->stage < CALL_ENDED);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        call->stage = CALL_LOST;
}

/* The one who reads our output is gone. A program may have more to say; else there is nobody to go on for. */
static void output_is_gone(struct call *call)
{
    call->out_at = call->out_end = 0;
    if (call->child > 0) {
        close(call->out_fd);
        call->out_fd = -1;
    } else {
        _exit(128 + 13);
    }
}

static void give_out(struct call *call)
{
    size_t length = call->out_end - call->out_at;

    /* A pipe that has room takes PIPE_BUF without waiting, an empty one as much as it holds; ours may be shared with others, so it stays as it is. */
    if (!call->out_is_file && length > PIPE_BUF) {
        int queued, size = fcntl(call->out_fd, F_GETPIPE_SZ);
        size_t room = size > PIPE_BUF && ioctl(call->out_fd, FIONREAD, &queued) == 0 && queued == 0 ? (size_t)size : PIPE_BUF;
        length = length < room ? length : room;
    }
    ssize_t written = write(call->out_fd, call->out + call->out_at, length);
    if (written >= 0)
        call->out_at += (size_t)written;
    else if (errno != EAGAIN && errno != EINTR)
        output_is_gone(call);
    if (call->out_at == call->out_end)
        call->out_at = call->out_end = 0;
}

/* Has the answer to the first words not come? The host may have begun anew after they were sent; or it is not there. */
static int handshake(struct call *call)
{
    int64_t waited = now_ms() - call->sent_at;

    if (call->stage != CALL_WAITS && call->stage != CALL_GREETED)
        return -1;
    if (waited > HANDSHAKE_MS) {
        call->stage = CALL_LOST;
        return 0;
    }
    /* What was sent before may be on its way to the host all the same, which then answers at once: asked twice it would be done twice. */
    if (call->announced && call->stage == CALL_WAITS && waited >= AGAIN_MS && now_ms() - call->announced_at >= AGAIN_MS)
        call_begin(call);
    return AGAIN_MS;
}

/* The end of the service's output is the end of the program's input. */
static void end_output(struct call *call)
{
    if (call->out_ended && call->child > 0 && call->out_fd >= 0 && call->out_at == call->out_end) {
        close(call->out_fd);
        call->out_fd = -1;
    }
}

static void turn(struct call *call)
{
    int timeout = handshake(call);
    bool may_read = call->stage == CALL_RUNS && !call->in_ended && call->in_fd >= 0 && call->read_at == call->read_end;
    bool has_room = call->out_end < sizeof call->out;
    bool sends = call->send_at < call->send_end;
    struct pollfd fds[3] = {
        { .fd = has_room || sends ? call->port : -1, .events = (short)((has_room ? POLLIN : 0) | (sends ? POLLOUT : 0)) },
        { .fd = may_read ? call->in_fd : -1, .events = POLLIN },
        { .fd = call->out_fd, .events = call->out_at < call->out_end ? POLLOUT : 0 },
    };

    if (call->stage >= CALL_ENDED || poll(fds, 3, timeout) < 0)
        return;
    if (fds[2].revents & (POLLERR | POLLNVAL))
        output_is_gone(call);
    else if (fds[2].revents & POLLOUT)
        give_out(call);
    if (fds[1].revents)
        read_input(call);
    frame(call);
    if (has_room && fds[0].revents & (POLLIN | POLLHUP))
        receive(call);
    if (call->stage < CALL_ENDED && fds[0].revents & POLLOUT && call->send_at < call->send_end)
        send_some(call);
    else if (!has_room && fds[0].revents & POLLHUP)
        call->stage = CALL_LOST;
}

void call_pump(struct call *call)
{
    while (call->stage < CALL_ENDED) {
        turn(call);
        frame(call);
        end_output(call);
    }
    /* What came before the end is given out whatever the end was. */
    while (call->out_fd >= 0 && call->out_at < call->out_end) {
        struct pollfd out = { .fd = call->out_fd, .events = POLLOUT };
        poll(&out, 1, -1);
        if (out.revents & POLLERR)
            break;
        give_out(call);
    }
}
