#include "stream.h"

#include <string.h>

/* Fills in->fixed up to size; how many bytes were taken. */
static size_t fill(struct incoming *in, const unsigned char *bytes, size_t length, size_t size)
{
    size_t taken = size - in->filled < length ? size - in->filled : length;

    memcpy(in->fixed + in->filled, bytes, taken);
    in->filled += taken;
    return taken;
}

static size_t take_nonce(struct incoming *in, const unsigned char *bytes, size_t length)
{
    size_t taken = fill(in, bytes, length, NONCE_SIZE);

    if (in->filled == NONCE_SIZE) {
        in->filled = 0;
        in->state = in->handler->opened(in, in->fixed) ? IN_HEADER : IN_SKIP;
    }
    return taken;
}

static size_t take_header(struct incoming *in, const unsigned char *bytes, size_t length)
{
    size_t taken = fill(in, bytes, length, HEADER_SIZE);

    if (in->filled == HEADER_SIZE) {
        in->filled = 0;
        memcpy(&in->header, in->fixed, HEADER_SIZE);
        in->left = in->header.length;
        in->state = in->handler->begin(in) < 0 ? IN_SKIP : in->left > 0 ? IN_BODY : IN_HEADER;
    }
    return taken;
}

static size_t take_body(struct incoming *in, const unsigned char *bytes, size_t length)
{
    size_t taken = in->left < length ? in->left : length;

    in->left -= (uint32_t)taken;
    in->state = in->handler->part(in, bytes, taken) < 0 ? IN_SKIP : in->left > 0 ? IN_BODY : IN_HEADER;
    return taken;
}

static void take(struct incoming *in, const unsigned char *bytes, size_t length)
{
    while (length > 0 && in->state != IN_SKIP) {
        size_t taken = in->state == IN_NONCE ? take_nonce(in, bytes, length)
            : in->state == IN_HEADER ? take_header(in, bytes, length) : take_body(in, bytes, length);
        bytes += taken;
        length -= taken;
    }
}

void incoming_feed(struct incoming *in, const unsigned char *block, size_t length)
{
    ssize_t end;

    while ((end = scan_mark(&in->scanner, block, length)) >= 0) {
        if (end > MARK_SIZE)
            take(in, block, (size_t)end - MARK_SIZE);
        in->state = IN_NONCE;
        in->filled = 0;
        in->handler->marked(in);
        block += end;
        length -= (size_t)end;
    }
    take(in, block, length);
}
