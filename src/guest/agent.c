/* mgmt-agent: holds the ports org.mgmt.agent.N and runs what the host asks for, one command at a time on each. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

static bool start(unsigned i)
{
    pid_t worker = worker_has_port(i) ? fork() : -1;

    if (worker == 0)
        worker_run(i);
    return worker > 0;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    if (argc > 1) {
        fprintf(stderr, "usage: %s\n", argv[0]);
        return 2;
    }
    while (start(count))
        count++;
    if (count == 0) {
        fputs("mgmt-agent: there is no port org.mgmt.agent.0\n", stderr);
        return 1;
    }
    /* One that ends takes the others along, and init starts all of them anew. */
    wait(NULL);
    kill(0, SIGTERM);
    return 1;
}
