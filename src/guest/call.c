/* What the host says in a call: preamble, HELLO, CONNECT or REFUSED, data, exit code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

enum { NAME_SIZE = 64, IDENT_SIZE = 32, FIXED_SIZE = 2 * NAME_SIZE + IDENT_SIZE, OLDEST_PROTOCOL = 3 };

static unsigned char *put(unsigned char *to, const void *bytes, size_t length)
{
    memcpy(to, bytes, length);
    return to + length;
}

static unsigned char *put_header(unsigned char *to, uint32_t type, size_t length)
{
    struct header header = { type, (uint32_t)length };
    return put(to, &header, sizeof header);
}

static unsigned char *put_field(unsigned char *to, const char *text, size_t size)
{
    size_t length = strlen(text);

    memset(to, 0, size);
    memcpy(to, text, length < size ? length : size - 1);
    return to + size;
}

void call_begin(struct call *call)
{
    const struct options *options = call->options;
    const uint32_t version = PROTOCOL;
    size_t service = strlen(options->service) + 1;
    unsigned char *to = call->send;

    random_bytes(call->nonce, NONCE_SIZE);
    to = put(to, port_mark, MARK_SIZE);
    to = put(to, call->nonce, NONCE_SIZE);
    to = put_header(to, MSG_HELLO, sizeof version);
    to = put(to, &version, sizeof version);
    to = put_header(to, MSG_TRIGGER_SERVICE4, FIXED_SIZE + service);
    to = put_field(to, options->source ? options->source : "", NAME_SIZE);
    to = put_field(to, options->target, NAME_SIZE);
    to = put_field(to, "SOCKET", IDENT_SIZE);
    to = put(to, options->service, service);
    if (call->has_no_input)
        to = put_header(to, MSG_DATA_STDIN, 0);
    call->send_at = 0;
    call->send_end = (size_t)(to - call->send);
    call->stage = CALL_WAITS;
    call->announced = false;
    call->sent_at = now_ms();
}

static void marked(struct incoming *in)
{
    struct call *call = in->context;

    /* In the middle of a call it says that the host has begun anew and knows nothing of it. */
    if (call->stage != CALL_WAITS && call->stage < CALL_ENDED)
        call->stage = CALL_LOST;
}

static int opened(struct incoming *in, const unsigned char nonce[NONCE_SIZE])
{
    static const unsigned char none[NONCE_SIZE];
    struct call *call = in->context;

    if (call->stage != CALL_WAITS)
        return 0;
    if (memcmp(nonce, none, NONCE_SIZE) == 0) {
        call->announced = true;
        call->announced_at = now_ms();
    }
    if (memcmp(nonce, call->nonce, NONCE_SIZE) != 0)
        return 0;
    call->stage = CALL_GREETED;
    return 1;
}

/* Which messages may come, and of what length. */
static int is_expected(const struct call *call, const struct header *header)
{
    switch (call->stage) {
    case CALL_GREETED:
        return header->type == MSG_HELLO && header->length == 4;
    case CALL_ASKED:
        return (header->type == MSG_SERVICE_CONNECT && header->length == 8 + IDENT_SIZE)
            || (header->type == MSG_SERVICE_REFUSED && header->length == IDENT_SIZE)
            || (header->type == MSG_DATA_EXIT_CODE && header->length == 4);
    case CALL_RUNS:
        return ((header->type == MSG_DATA_STDOUT || header->type == MSG_DATA_STDERR) && header->length <= MAX_DATA)
            || (header->type == MSG_DATA_EXIT_CODE && header->length == 4);
    default:
        return 0;
    }
}

static int begin(struct incoming *in)
{
    struct call *call = in->context;

    call->small_length = 0;
    if (!is_expected(call, &in->header)) {
        fprintf(stderr, "qrexec-client-vm: the host sent message 0x%x of %u bytes out of place\n", in->header.type, in->header.length);
        call->stage = CALL_LOST;
        return -1;
    }
    if (in->header.type == MSG_DATA_STDOUT && in->header.length == 0)
        call->out_ended = true;
    return 0;
}

/* A message that is short and was kept whole. */
static int whole(struct call *call, uint32_t type)
{
    uint32_t number;

    memcpy(&number, call->small, sizeof number);
    switch (type) {
    case MSG_HELLO:
        if (number < OLDEST_PROTOCOL)
            return -1;
        call->stage = CALL_ASKED;
        return 0;
    case MSG_SERVICE_CONNECT:
        call->stage = CALL_RUNS;
        program_start(call);
        return 0;
    case MSG_SERVICE_REFUSED:
        call->stage = CALL_REFUSED;
        return -1;
    default:
        call->status = (int)number;
        call->stage = call->status == EXIT_REFUSED && !call->has_output ? CALL_REFUSED : CALL_ENDED;
        return -1;
    }
}

static void filter(unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = bytes[i];
        if ((c < 0x20 || c > 0x7e) && c != '\t' && c != '\n' && c != '\r' && c != '\b' && c != '\a')
            bytes[i] = '_';
    }
}

static void take_output(struct call *call, const unsigned char *bytes, size_t length)
{
    call->has_output = true;
    if (call->out_fd < 0)
        return;
    /* There is room: no more is read from the port than there is; and it may be there already. */
    if (bytes != call->out + call->out_end)
        memmove(call->out + call->out_end, bytes, length);
    if (call->options->filter_stdout)
        filter(call->out + call->out_end, length);
    call->out_end += length;
}

static int part(struct incoming *in, const unsigned char *bytes, size_t length)
{
    struct call *call = in->context;

    if (in->header.type == MSG_DATA_STDOUT) {
        take_output(call, bytes, length);
        return 0;
    }
    if (in->header.type == MSG_DATA_STDERR) {
        unsigned char text[4096];
        for (size_t at = 0; at < length; at += sizeof text) {
            size_t piece = length - at < sizeof text ? length - at : sizeof text;
            memcpy(text, bytes + at, piece);
            if (call->options->filter_stderr)
                filter(text, piece);
            (void)!write(STDERR_FILENO, text, piece);
        }
        return 0;
    }
    memcpy(call->small + call->small_length, bytes, length);
    call->small_length += length;
    return in->left > 0 ? 0 : whole(call, in->header.type);
}

const struct incoming_handler call_handler = { marked, opened, begin, part };
