/* What comes on a port, as a machine: marks, nonces, messages. Bodies are handed on as they come. */
#ifndef MGMT_STREAM_H
#define MGMT_STREAM_H

#include "port.h"

struct incoming;

struct incoming_handler {
    /* A mark: whatever was before is over. */
    void (*marked)(struct incoming *in);
    /* Its nonce: not 0 when this is the conversation to read. */
    int (*opened)(struct incoming *in, const unsigned char nonce[NONCE_SIZE]);
    /* A message begins; its body, if any, follows in parts. -1: it may not come here; nothing is read before the next mark. */
    int (*begin)(struct incoming *in);
    /* A part of the body; in->left is what is still to come. -1 as above. */
    int (*part)(struct incoming *in, const unsigned char *bytes, size_t length);
};

struct incoming {
    const struct incoming_handler *handler;
    void *context;
    struct scanner scanner;
    enum { IN_SKIP, IN_NONCE, IN_HEADER, IN_BODY } state;
    unsigned char fixed[NONCE_SIZE];
    size_t filled;
    struct header header;
    uint32_t left;
};

/* Takes a block of what came. */
void incoming_feed(struct incoming *in, const unsigned char *block, size_t length);

#endif
