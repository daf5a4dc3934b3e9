/* How a service is to be run. A file has lines: KEY = VALUE, where the value is 'TEXT', true or false; what follows a # is no part of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service.h"

enum { MAX_LINE = 1024, MAX_LINES = 1000 };

struct key {
    const char *name;
    bool *flag; /* NULL: it is a text */
};

static char *trim(char *text)
{
    size_t length;

    text += strspn(text, " \t\r\n");
    length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

/* Cuts off what follows the value; -1 when that is no comment. */
static int cut_comment(char *after)
{
    char *rest = trim(after);
    int result = *rest == '\0' || *rest == '#' ? 0 : -1;

    *after = '\0';
    return result;
}

static int take_text(char *value, char *text, size_t size)
{
    char *end = *value == '\'' ? strchr(value + 1, '\'') : NULL;

    if (!end || end == value + 1 || (size_t)(end - value) > size)
        return -1;
    *end = '\0';
    strcpy(text, value + 1);
    return cut_comment(end + 1);
}

static int take_flag(char *value, bool *flag)
{
    size_t length = strcspn(value, " \t#");

    *flag = length == 4 && memcmp(value, "true", 4) == 0;
    if (!*flag && !(length == 5 && memcmp(value, "false", 5) == 0))
        return -1;
    return cut_comment(value + length);
}

static int take_line(char *line, struct service_config *config, bool seen[5])
{
    const struct key keys[5] = {
        { "force-user", NULL }, { "skip-service-descriptor", &config->skip_descriptor }, { "exit-on-client-eof", &config->exit_on_client_eof },
        { "exit-on-service-eof", &config->exit_on_service_eof }, { "wait-for-session", &config->wait_for_session },
    };
    char *equals = strchr(line, '=');

    if (!equals)
        return -1;
    *equals = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(trim(line), keys[i].name) == 0 && !seen[i]) {
            char *value = trim(equals + 1);
            seen[i] = true;
            return keys[i].flag ? take_flag(value, keys[i].flag) : take_text(value, config->force_user, sizeof config->force_user);
        }
    return -1;
}

int config_read(const char *path, struct service_config *config)
{
    char line[MAX_LINE];
    bool seen[5] = { false };
    FILE *file = fopen(path, "re");
    int number = 0, result = file ? 0 : -1;

    while (result == 0 && fgets(line, sizeof line, file)) {
        /* One that is not whole is too long. */
        bool is_whole = strchr(line, '\n') || feof(file);
        char *text = trim(line);
        number++;
        if (!is_whole || number > MAX_LINES || (*text != '\0' && *text != '#' && take_line(text, config, seen) < 0))
            result = -1;
    }
    if (file && ferror(file))
        result = -1;
    if (result < 0)
        fprintf(stderr, "mgmt-agent: %s: line %d: %s\n", path, number, file ? "an unknown or doubled key, or not a value for it" : strerror(errno));
    if (file)
        fclose(file);
    return result;
}
