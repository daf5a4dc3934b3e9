/* qrexec-client-vm: one call of this guest. */
#ifndef MGMT_CLIENT_H
#define MGMT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "stream.h"

struct options {
    const char *target;
    const char *service;
    const char *source; /* claimed; NULL: none */
    char **program;     /* NULL: none */
    bool filter_stdout;
    bool filter_stderr;
};

struct call {
    const struct options *options;
    int port;
    unsigned char nonce[NONCE_SIZE];
    struct incoming in;
    enum { CALL_WAITS, CALL_GREETED, CALL_ASKED, CALL_RUNS, CALL_ENDED, CALL_REFUSED, CALL_LOST } stage;
    bool announced;
    int64_t announced_at;
    int64_t sent_at;
    int status;

    bool has_no_input; /* its end is said with the first words: a trip to the host less */

    /* The local end: our own stdin and stdout, or a program's. */
    int in_fd;
    int out_fd;
    pid_t child;
    bool in_ended;
    bool out_ended;
    bool out_is_file;
    bool has_output;

    unsigned char small[64];
    size_t small_length;

    unsigned char read[MAX_DATA]; /* from in_fd, not yet made into messages */
    size_t read_at, read_end;
    unsigned char *send; /* messages for the port, not yet written */
    size_t send_at, send_end;
    unsigned char out[MAX_DATA]; /* for out_fd */
    size_t out_at, out_end;
};

/* Opens a port on which the host listens; waits while all are taken. Does not return without one. */
int choose_port(void);

/* Puts the words that begin the call into call->send; with a new nonce each time. */
void call_begin(struct call *call);

extern const struct incoming_handler call_handler;

/* Carries bytes until the call is over; then the stage says how. */
void call_pump(struct call *call);

/* Starts the local program, once the call is accepted. */
void program_start(struct call *call);

/* Its end: an exit code. */
int program_end(struct call *call);

#endif
