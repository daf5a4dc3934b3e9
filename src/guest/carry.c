/* One call of the bridge's: the client's own way to the host, and beside it a process that has the agent's data channel. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bridge.h"

enum { DIAL_MS = 10000, DIAL_PAUSE_MS = 20, DRAIN_S = 2, BLOCK = 4096, MESSAGES = 512 };

static unsigned data_port;
static int answer_fd = -1;
static int code_fd = -1;

static int dial(void)
{
    const struct timespec pause = { 0, DIAL_PAUSE_MS * 1000000L };

    /* The caller listens a moment after it was told; a file of an earlier use of the port refuses until then. */
    for (int64_t until = now_ms() + DIAL_MS; now_ms() < until; nanosleep(&pause, NULL)) {
        int fd = vchan_connect(data_port);
        if (fd >= 0)
            return fd;
    }
    return -1;
}

/* The caller's side of the call is over: so are all processes of the call, which are a group. */
static _Noreturn void give_up(void)
{
    kill(0, SIGTERM);
    _exit(1);
}

/* A message from the caller: HELLO, or its input, which goes to the service. */
static void take_message(int vchan, int service)
{
    struct header header;
    unsigned char block[BLOCK];

    if (read_all(vchan, &header, sizeof header) < 0 || header.length > MAX_DATA)
        give_up();
    if (header.type == MSG_DATA_STDIN && header.length == 0)
        shutdown(service, SHUT_WR);
    for (uint32_t left = header.length; left > 0;) {
        uint32_t piece = left < sizeof block ? left : (uint32_t)sizeof block;
        if (read_all(vchan, block, piece) < 0)
            give_up();
        /* A service that takes no more has ended or will; its exit code follows. */
        if (header.type == MSG_DATA_STDIN)
            (void)!write_all(service, block, piece);
        left -= piece;
    }
}

/* The last word, and then the caller closes: who closes with bytes unread takes back what was not read yet. */
static _Noreturn void finish(int vchan, int codes)
{
    int32_t code = EXIT_FAILED;

    (void)!read(codes, &code, sizeof code);
    if (write_message(vchan, MSG_DATA_STDOUT, NULL, 0) < 0 || write_message(vchan, MSG_DATA_EXIT_CODE, &code, sizeof code) < 0)
        give_up();
    shutdown(vchan, SHUT_WR);
    alarm(DRAIN_S);
    wait(NULL);
    give_up();
}

/* A process for each direction: neither may wait for the other. */
static _Noreturn void carry_data(int service, int codes)
{
    const uint32_t version = PROTOCOL;
    unsigned char block[BLOCK];
    ssize_t got;
    int vchan = dial();

    if (vchan < 0 || write_message(vchan, MSG_HELLO, &version, sizeof version) < 0 || write_message(vchan, MSG_DATA_STDERR, NULL, 0) < 0)
        give_up();
    if (fork() == 0)
        for (;;)
            take_message(vchan, service);
    while ((got = read(service, block, sizeof block)) > 0)
        if (write_message(vchan, MSG_DATA_STDOUT, block, (uint32_t)got) < 0)
            give_up();
    finish(vchan, codes);
}

/* In the place of the client's local program. */
void program_start(struct call *call)
{
    int streams[2], codes[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, streams) < 0 || pipe(codes) < 0)
        _exit(EXIT_FAILED);
    (void)!write(answer_fd, "", 1);
    close(answer_fd);
    call->child = fork();
    if (call->child < 0)
        _exit(EXIT_FAILED);
    if (call->child == 0) {
        close(call->port);
        close(streams[0]);
        close(codes[1]);
        carry_data(streams[1], codes[0]);
    }
    close(streams[1]);
    close(codes[0]);
    code_fd = codes[1];
    call->in_fd = streams[0];
    call->out_fd = dup(streams[0]);
}

int program_end(struct call *call)
{
    if (call->child > 0)
        waitpid(call->child, NULL, 0);
    return 0;
}

void bridge_carry(const struct bridge_call *asked, unsigned port, int answer)
{
    struct options options = { .target = asked->target, .service = asked->service, .source = *asked->source ? asked->source : NULL };
    struct call *call = calloc(1, sizeof *call);

    setpgid(0, 0);
    data_port = port;
    answer_fd = answer;
    if (!call || !(call->send = malloc(MESSAGES + (strlen(options.service) > MAX_DATA ? strlen(options.service) : MAX_DATA))))
        _exit(EXIT_FAILED);
    call->options = &options;
    call->in = (struct incoming){ .handler = &call_handler, .context = call };
    call->in_fd = call->out_fd = -1;
    call->port = choose_port();
    call_begin(call);
    call_pump(call);
    close(call->port);
    if (call->child > 0) {
        int32_t code = call->stage == CALL_ENDED ? call->status : call->stage == CALL_REFUSED ? EXIT_REFUSED : EXIT_LOST;
        (void)!write(code_fd, &code, sizeof code);
        close(code_fd);
        shutdown(call->out_fd >= 0 ? call->out_fd : call->in_fd, SHUT_RDWR);
        if (call->out_fd >= 0)
            close(call->out_fd);
        if (call->in_fd >= 0)
            close(call->in_fd);
        program_end(call);
    }
    _exit(0);
}
