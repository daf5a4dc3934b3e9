/* What the host asks for in this guest: mgmt-agent runs it, mgmt-vchan-bridge has another agent run it. */
#ifndef MGMT_AGENT_H
#define MGMT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "stream.h"

enum { MAX_COMMAND = 65535 };

/* Who a command runs as. */
struct user {
    uid_t uid;
    gid_t gid;
    char name[256];
    char home[1024];
    char shell[1024];
};

/* Looks a user up in /etc/passwd; 0, or -1 when there is none. No NSS: the program is static. */
int user_find(const char *name, struct user *user);

/* Becomes that user, with the groups of /etc/group; -1 when the kernel refuses. */
int user_become(const struct user *user);

/* One port, and what runs on it. */
struct session {
    int port;
    struct incoming in;
    unsigned char nonce[NONCE_SIZE];
    enum { SESSION_IDLE, SESSION_OPENED, SESSION_GREETED, SESSION_ASKED, SESSION_RUNS } stage;
    bool announces; /* the host has begun anew and is to be told that so have we */
    bool greets;    /* the host has begun a conversation and is to be answered */
    bool restarts;  /* what ran is over: another conversation has begun */
    bool is_broken;
    uint32_t type;
    char *command; /* USER:COMMAND */
    size_t command_length;

    pid_t child;
    int child_fd; /* readable when it has ended */
    int child_in, child_out, child_err;
    unsigned char in_bytes[MAX_DATA]; /* for child_in */
    size_t in_at, in_end;
    bool in_ended;
    unsigned char raw[MAX_DATA]; /* from child_out or child_err, not yet made into messages */
    uint32_t raw_type;
    size_t raw_at, raw_end;
    unsigned char send[HEADER_SIZE + MAX_DATA]; /* a message for the port */
    size_t send_at, send_end;
};

extern const struct incoming_handler session_handler;

/* Whether there is a port number i. */
bool worker_has_port(unsigned i);

/* Serves a port, in a process of its own. */
_Noreturn void worker_run(unsigned i);

/* Makes a process, connected by child_in, child_out and child_err. 0: this is it, in a session of its own, and its 0, 1 and 2 are the streams; 1: this is the old one; -1: there is none. */
int session_fork(struct session *session);

/* Starts what session->command says, connected by child_in, child_out and child_err. An exit code when it cannot, or -1. */
int command_start(struct session *session);

/* Carries the bytes of the command that was asked for until it has ended and its exit code was sent, or it is over for another reason. -1: the host is gone. */
int session_run(struct session *session);

/* Takes what has come on the port, and answers what is to be answered. -1: the host is gone. */
int session_receive(struct session *session);

#endif
