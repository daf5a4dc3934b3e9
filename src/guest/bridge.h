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

/* Connects to a socket of the agent's; -1 when nobody listens there yet. */
int vchan_connect(unsigned port);

/* Reads exactly so much; -1 at the end. */
int read_all(int fd, void *to, size_t length);

/* Carries a call to the host and its bytes to the data channel; writes a byte to answer when the host accepts. Ends the process. */
_Noreturn void bridge_carry(const struct bridge_call *call, unsigned port, int answer);

#endif
