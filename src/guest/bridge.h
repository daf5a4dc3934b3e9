/* mgmt-vchan-bridge: between an agent's vchan sockets and the guest's ports. */
#ifndef MGMT_BRIDGE_H
#define MGMT_BRIDGE_H

#include "client.h"

/* A call as the agent passed it on. */
struct bridge_call {
    const char *source; /* claimed; empty: none */
    const char *target;
    const char *service;
};

/* The agent's VCHAN_DOMAIN and VCHAN_SOCKET_DIR. */
extern unsigned vchan_domain;
extern const char *vchan_directory;

/* Connects to a socket of the agent's; -1 when nobody listens there yet. */
int vchan_connect(unsigned port);

/* Listens where the agent connects, in the place of whatever is there; -1 when that is not possible. */
int vchan_listen(unsigned port);

/* No more are to connect there. */
void vchan_unlink(unsigned port);

/* Reads exactly so much; -1 at the end. */
int read_all(int fd, void *to, size_t length);

/* Carries a call to the host and its bytes to the data channel; writes a byte to answer when the host accepts. Ends the process. */
_Noreturn void bridge_carry(const struct bridge_call *call, unsigned port, int answer);

/* The agent reads a message on its control channel, and on a data channel to which it has connected, only when all of its body is in a ring of this size. */
enum { AGENT_RING = 4096, FIXED_SIZE = 8 };

/* A command of the host's, as a process that carries one passes it on, with a descriptor for the answer: the data channel. */
struct bridge_command {
    uint32_t type;
    char text[AGENT_RING - FIXED_SIZE]; /* with its NUL */
};

/* Where such processes ask. */
extern int command_socket;

/* Takes what one of them asks: the length of its text, and the descriptor; -1: nothing. */
ssize_t command_take(int socket, struct bridge_command *command, int *asker);

/* Gives the data channel to whoever asked, and closes both. */
void command_answer(int asker, int vchan);

#endif
