/* qrexec-client-vm: calls a service from inside a guest. The command line and the exit codes are those of Qubes OS. */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "client.h"

enum { NO_FILTER_OUT = 't' + 128, NO_FILTER_ERR = 'T' + 128, MAX_SERVICE = 65000, MESSAGES = 512 };

static const struct option long_options[] = {
    { "buffer-size", required_argument, NULL, 'b' },
    { "filter-escape-chars-stdout", no_argument, NULL, 't' },
    { "filter-escape-chars-stderr", no_argument, NULL, 'T' },
    { "no-filter-escape-chars-stdout", no_argument, NULL, NO_FILTER_OUT },
    { "no-filter-escape-chars-stderr", no_argument, NULL, NO_FILTER_ERR },
    { "agent-socket", required_argument, NULL, 'a' },
    { "source-qube", required_argument, NULL, 's' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

static _Noreturn void usage(FILE *to, int code)
{
    fputs("usage: qrexec-client-vm [options] TARGET SERVICE[+ARG] [LOCAL_PROGRAM [ARGUMENTS]]\n"
          "  -t, --filter-escape-chars-stdout   replace control characters and non-ASCII on stdout by _ (the default on a terminal)\n"
          "  -T, --filter-escape-chars-stderr   the same on stderr\n"
          "  --no-filter-escape-chars-stdout, --no-filter-escape-chars-stderr\n"
          "  --source-qube=NAME                 on whose behalf; the host's policy decides what that means\n"
          "  --buffer-size=BYTES, --agent-socket=PATH   taken, and of no effect here\n"
          "exit code: that of the service, 125 no channel, 126 refused, 127 no such service, 255 connection lost\n", to);
    exit(code);
}

static struct options parse(int argc, char **argv)
{
    int out = -1, err = -1, option;
    struct options options = { 0 };

    while ((option = getopt_long(argc, argv, "+tTa:h", long_options, NULL)) != -1) {
        switch (option) {
        case 't': out = 1; break;
        case 'T': err = 1; break;
        case NO_FILTER_OUT: out = 0; break;
        case NO_FILTER_ERR: err = 0; break;
        case 's': options.source = optarg; break;
        case 'a': case 'b': break;
        case 'h': usage(stdout, 0);
        default: usage(stderr, 2);
        }
    }
    if (argc - optind < 2 || strlen(argv[optind + 1]) >= MAX_SERVICE)
        usage(stderr, 2);
    options.target = argv[optind];
    options.service = argv[optind + 1];
    options.program = argc - optind > 2 ? argv + optind + 2 : NULL;
    options.filter_stdout = out < 0 ? !options.program && isatty(STDOUT_FILENO) : out;
    options.filter_stderr = err < 0 ? isatty(STDERR_FILENO) : err;
    /* Keywords were once written with a dollar. */
    for (char *c = argv[optind]; *c; c++)
        if (*c == '$')
            *c = '@';
    return options;
}

/* Whether nothing will come, as far as can be told without reading: what is not ours to read before we are accepted stays where it is. */
static bool is_over(int fd)
{
    struct stat kind;
    struct pollfd input = { .fd = fd, .events = POLLIN };

    if (fstat(fd, &kind) < 0)
        return false;
    if (S_ISCHR(kind.st_mode))
        return kind.st_rdev == makedev(1, 3); /* /dev/null */
    if (S_ISREG(kind.st_mode))
        return lseek(fd, 0, SEEK_CUR) >= kind.st_size;
    return S_ISFIFO(kind.st_mode) && poll(&input, 1, 0) == 1 && (input.revents & (POLLIN | POLLHUP)) == POLLHUP;
}

static int finish(struct call *call)
{
    close(call->port);
    int local = program_end(call);
    switch (call->stage) {
    case CALL_REFUSED:
        fputs("Request refused\n", stderr);
        return EXIT_REFUSED;
    case CALL_ENDED:
        return call->status != 0 ? call->status & 0xff : local;
    default:
        fputs("qrexec-client-vm: the connection to the host was lost\n", stderr);
        return EXIT_LOST;
    }
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    struct call *call = calloc(1, sizeof *call);

    if (!call || !(call->send = malloc(MESSAGES + (strlen(options.service) > MAX_DATA ? strlen(options.service) : MAX_DATA)))) {
        perror("qrexec-client-vm");
        return EXIT_FAILED;
    }
    signal(SIGPIPE, SIG_IGN);
    call->options = &options;
    call->in = (struct incoming){ .handler = &call_handler, .context = call };
    call->in_fd = call->out_fd = -1;
    call->has_no_input = !options.program && is_over(STDIN_FILENO);
    call->port = choose_port();
    call_begin(call);
    call_pump(call);
    return finish(call);
}
