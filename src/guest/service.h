/* Services of this guest: which there are, and how each is to be run. */
#ifndef MGMT_SERVICE_H
#define MGMT_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_SIZE = 4096, DIRECTORIES = 3 };

/* How a service is to be run, from its file in rpc-config. */
struct service_config {
    char force_user[256]; /* empty: whom the host names */
    bool skip_descriptor;
    bool exit_on_client_eof;
    bool exit_on_service_eof;
    bool wait_for_session;
};

/* SERVICE[+ARGUMENT] SOURCE, cut into its parts, and what is known of it. */
struct service {
    char *full;     /* with + and argument */
    char *name;
    char *argument; /* may be empty */
    char *source;
    char path[PATH_SIZE];
    bool is_socket;
    struct service_config config;
};

/* Parts of TEXT, which is changed; -1 when it has not these parts. */
int service_parse(char *text, struct service *service);

/* Finds the service and its configuration: 0, or EXIT_NO_SERVICE, EXIT_REFUSED for a configuration that cannot be read, EXIT_FAILED. */
int service_find(struct service *service);

/* The path of a name in the directories: 0, EXIT_NO_SERVICE or EXIT_FAILED. */
int find_in(const char *const directories[DIRECTORIES], const char *name, char path[PATH_SIZE]);

/* Where services are. */
extern const char *const service_directories[DIRECTORIES];

/* Reads a configuration; -1, and why on stderr, for one that cannot be read: an unknown or doubled key, or a bad value. */
int config_read(const char *path, struct service_config *config);

/* Carries standard input to the service's socket, and what it says to standard output. Ends the process. */
_Noreturn void socket_run(const struct service *service);

#endif
