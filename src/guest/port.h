/* The ports of a guest: which there are, how a conversation begins on one, and messages. See docs/guest-channels.md. */
#ifndef MGMT_PORT_H
#define MGMT_PORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MSG_DATA_STDIN = 0x190,
    MSG_DATA_STDOUT = 0x191,
    MSG_DATA_STDERR = 0x192,
    MSG_DATA_EXIT_CODE = 0x193,
    MSG_EXEC_CMDLINE = 0x200,
    MSG_JUST_EXEC = 0x201,
    MSG_SERVICE_CONNECT = 0x202,
    MSG_SERVICE_REFUSED = 0x203,
    MSG_TRIGGER_SERVICE4 = 0x213,
    MSG_HELLO = 0x300
};

enum { MARK_SIZE = 16, NONCE_SIZE = 16, HEADER_SIZE = 8, MAX_DATA = 65536, PROTOCOL = 4 };

/* Exit codes with a meaning of their own. */
enum { EXIT_LOST = 255, EXIT_FAILED = 125, EXIT_REFUSED = 126, EXIT_NO_SERVICE = 127 };

struct header {
    uint32_t type;
    uint32_t length;
};

/* A stream of bytes that comes in blocks: looks for marks in all of it. */
struct scanner {
    unsigned matched;
};

extern const unsigned char port_mark[MARK_SIZE];

/* The offset after the last byte of the first mark that ends in the block, or -1. */
ssize_t scan_mark(struct scanner *scanner, const unsigned char *block, size_t length);

/* How many of the bytes may go into one message, so that no message holds a mark. */
size_t data_piece(const unsigned char *bytes, size_t length);

/* Opens port number i of the directory; -1 with errno ENOENT (no such port), EBUSY (in use) or another. */
int port_open(const char *directory, const char *name, unsigned i);

/* Fills with random bytes; ends the program when there are none. */
void random_bytes(void *to, size_t length);

/* Writes all of it to a descriptor that may not block; 0, or -1 when the other end is gone. */
int write_all(int fd, const void *bytes, size_t length);

/* Writes a header and a body; -1 when the other end is gone. */
int write_message(int fd, uint32_t type, const void *body, uint32_t length);

/* Writes mark and nonce; -1 when the other end is gone. */
int write_preamble(int fd, const unsigned char nonce[NONCE_SIZE]);

/* Milliseconds of a clock that only goes on. */
int64_t now_ms(void);

#endif
