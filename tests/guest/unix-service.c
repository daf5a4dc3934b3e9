/* unix-service PATH MODE: a service that is a socket, for tests.
 *   all    reads to the end, then says "got " and what it read
 *   cat    says what it reads, as it comes
 *   mute   reads, says nothing and does not end
 *   half   says "bye" and closes its output; then counts what it reads, and writes how much that was to PATH.count */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char block[1 << 20];

static ssize_t say(int fd, const char *text, size_t length)
{
    return length > 0 ? write(fd, text, length) : 0;
}

static void serve(int fd, const char *path, const char *mode)
{
    size_t all = 0;
    ssize_t got;
    char name[256];

    if (strcmp(mode, "half") == 0) {
        say(fd, "bye", 3);
        shutdown(fd, SHUT_WR);
    }
    while ((got = read(fd, block + (*mode == 'a' ? all : 0), sizeof block - (*mode == 'a' ? all : 0))) > 0) {
        all += (size_t)got;
        if (strcmp(mode, "cat") == 0 && say(fd, block, (size_t)got) < 0)
            return;
    }
    if (strcmp(mode, "all") == 0) {
        say(fd, "got ", 4);
        say(fd, block, all);
    } else if (strcmp(mode, "mute") == 0) {
        pause();
    } else if (strcmp(mode, "half") == 0) {
        snprintf(name, sizeof name, "%s.count", path);
        FILE *count = fopen(name, "w");
        if (count) {
            fprintf(count, "%zu\n", all);
            fclose(count);
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 8) < 0) {
        perror(argv[1]);
        return 1;
    }
    signal(SIGCHLD, SIG_IGN);
    /* From here on it can be connected to. */
    if (fork() > 0)
        return 0;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fork() == 0) {
            serve(fd, argv[1], argv[2]);
            _exit(0);
        }
        close(fd);
    }
}
