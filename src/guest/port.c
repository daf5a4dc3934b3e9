#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

const unsigned char port_mark[MARK_SIZE] = {
    0xd7, 0xa3, 0xf1, 0xbc, 0xe9, 0xc6, 0xaf, 0xfa, 0xb5, 0xe2, 0xcd, 0xa8, 0xf6, 0xbe, 0xd1, 0xeb
};

enum { CUT_AFTER = 8 };

/* Where in the mark a byte is, from 1; 0: nowhere. No byte is in it twice. */
static const unsigned char place[256] = {
    [0xd7] = 1, [0xa3] = 2, [0xf1] = 3, [0xbc] = 4, [0xe9] = 5, [0xc6] = 6, [0xaf] = 7, [0xfa] = 8,
    [0xb5] = 9, [0xe2] = 10, [0xcd] = 11, [0xa8] = 12, [0xf6] = 13, [0xbe] = 14, [0xd1] = 15, [0xeb] = 16
};

/* The first mark. It covers one of any sixteen bytes in a row, so no other is looked at: on an emulated processor a search byte by byte takes longer than the port. */
static const unsigned char *find_mark(const unsigned char *bytes, size_t length)
{
    for (size_t at = MARK_SIZE - 1; at < length; at += MARK_SIZE) {
        unsigned in_mark = place[bytes[at]];
        if (in_mark == 0)
            continue;
        size_t start = at + 1 - in_mark;
        if (start + MARK_SIZE <= length && memcmp(bytes + start, port_mark, MARK_SIZE) == 0)
            return bytes + start;
    }
    return NULL;
}

ssize_t scan_mark(struct scanner *scanner, const unsigned char *block, size_t length)
{
    size_t at = 0;

    while (scanner->matched > 0 && at < length && block[at] == port_mark[scanner->matched]) {
        at++;
        if (++scanner->matched == MARK_SIZE) {
            scanner->matched = 0;
            return (ssize_t)at;
        }
    }
    if (at == length)
        return -1;
    /* No byte of a mark is like another: where it does not go on, it can only begin. */
    scanner->matched = 0;
    const unsigned char *found = find_mark(block + at, length - at);
    if (found)
        return found - block + MARK_SIZE;
    size_t rest = length - at;
    for (size_t n = rest < MARK_SIZE - 1 ? rest : MARK_SIZE - 1; n > 0; n--) {
        if (memcmp(block + length - n, port_mark, n) == 0) {
            scanner->matched = (unsigned)n;
            break;
        }
    }
    return -1;
}

size_t data_piece(const unsigned char *bytes, size_t length)
{
    if (length > MAX_DATA)
        length = MAX_DATA;
    const unsigned char *mark = find_mark(bytes, length);
    return mark ? (size_t)(mark - bytes) + CUT_AFTER : length;
}

int port_open(const char *directory, const char *name, unsigned i)
{
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%s/%s.%u", directory, name, i) >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

void random_bytes(void *to, size_t length)
{
    unsigned char *at = to;

    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            perror("getrandom");
            exit(EXIT_FAILED);
        }
        at += got;
        length -= (size_t)got;
    }
}

int write_all(int fd, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;

    while (length > 0) {
        ssize_t written = write(fd, at, length);
        if (written > 0) {
            at += written;
            length -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            struct pollfd room = { .fd = fd, .events = POLLOUT };
            if (poll(&room, 1, -1) < 0 && errno != EINTR)
                return -1;
            /* A port whose host is gone hangs up, and never has room again. */
            if (room.revents & (POLLHUP | POLLERR | POLLNVAL))
                return -1;
        } else if (written == 0 || errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

int write_message(int fd, uint32_t type, const void *body, uint32_t length)
{
    unsigned char message[HEADER_SIZE + 512];
    struct header header = { type, length };

    /* In one piece where it is short: each write is a trip to the host. */
    memcpy(message, &header, HEADER_SIZE);
    if (length <= sizeof message - HEADER_SIZE) {
        if (length > 0)
            memcpy(message + HEADER_SIZE, body, length);
        return write_all(fd, message, HEADER_SIZE + length);
    }
    return write_all(fd, message, HEADER_SIZE) < 0 ? -1 : write_all(fd, body, length);
}

int write_preamble(int fd, const unsigned char nonce[NONCE_SIZE])
{
    unsigned char preamble[MARK_SIZE + NONCE_SIZE];

    memcpy(preamble, port_mark, MARK_SIZE);
    memcpy(preamble + MARK_SIZE, nonce, NONCE_SIZE);
    return write_all(fd, preamble, sizeof preamble);
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
