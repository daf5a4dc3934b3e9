/* The local program of a call, connected to the service by a pair of sockets each way. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

static void save_descriptor(int fd)
{
    char name[32], value[32];

    snprintf(name, sizeof name, "SAVED_FD_%d", fd);
    snprintf(value, sizeof value, "%d", dup(fd));
    setenv(name, value, 1);
}

static _Noreturn void become(char **program, int in, int out)
{
    char *path = program[0];
    char *slash = strrchr(path, '/');
    char agent[32];

    signal(SIGPIPE, SIG_DFL);
    snprintf(agent, sizeof agent, "%d", (int)getppid());
    setenv("QREXEC_AGENT_PID", agent, 1);
    save_descriptor(STDIN_FILENO);
    save_descriptor(STDOUT_FILENO);
    if (getenv("PASS_LOCAL_STDERR"))
        save_descriptor(STDERR_FILENO);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    program[0] = slash ? slash + 1 : path;
    execv(path, program);
    fprintf(stderr, "qrexec-client-vm: %s: %s\n", path, strerror(errno));
    _exit(255);
}

void program_start(struct call *call)
{
    int in[2], out[2];
    struct stat kind;

    if (!call->options->program) {
        call->in_fd = call->has_no_input ? -1 : STDIN_FILENO;
        call->out_fd = STDOUT_FILENO;
        call->out_is_file = fstat(STDOUT_FILENO, &kind) == 0 && S_ISREG(kind.st_mode);
        if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
            call->out_fd = -1;
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) < 0) {
        perror("qrexec-client-vm: socketpair");
        exit(EXIT_FAILED);
    }
    call->child = fork();
    if (call->child < 0) {
        perror("qrexec-client-vm: fork");
        exit(EXIT_FAILED);
    }
    if (call->child == 0)
        become(call->options->program, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    call->out_fd = in[1];
    call->in_fd = out[0];
}

int program_end(struct call *call)
{
    int status;

    if (call->child <= 0)
        return 0;
    /* It may still wait for more, or write what nobody takes any more. */
    if (call->out_fd >= 0)
        close(call->out_fd);
    if (call->in_fd >= 0)
        close(call->in_fd);
    while (waitpid(call->child, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILED;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
