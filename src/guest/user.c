/* Users and groups, read from their files: a static program has no NSS. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_GROUPS = 256, FIELDS = 7 };

/* Cuts a line at its colons; how many fields it has. */
static int cut(char *line, char *fields[FIELDS])
{
    int count = 0;

    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; at && count < FIELDS; count++) {
        fields[count] = at;
        at = strchr(at, ':');
        if (at)
            *at++ = '\0';
    }
    return count;
}

static int number(const char *text, unsigned *value)
{
    char *end;
    unsigned long parsed = strtoul(text, &end, 10);

    *value = (unsigned)parsed;
    return *text >= '0' && *text <= '9' && *end == '\0' && parsed < UINT32_MAX ? 0 : -1;
}

int user_find(const char *name, struct user *user)
{
    char line[4096];
    char *fields[FIELDS];
    int found = -1;
    FILE *file = fopen("/etc/passwd", "re");

    if (!file)
        return -1;
    while (found < 0 && fgets(line, sizeof line, file)) {
        if (cut(line, fields) == FIELDS && strcmp(fields[0], name) == 0
            && number(fields[2], &user->uid) == 0 && number(fields[3], &user->gid) == 0) {
            snprintf(user->name, sizeof user->name, "%s", fields[0]);
            snprintf(user->home, sizeof user->home, "%s", fields[5]);
            snprintf(user->shell, sizeof user->shell, "%s", *fields[6] ? fields[6] : "/bin/sh");
            found = 0;
        }
    }
    fclose(file);
    return found;
}

static bool is_member(char *members, const char *name)
{
    char *rest;

    for (char *member = strtok_r(members, ",", &rest); member; member = strtok_r(NULL, ",", &rest))
        if (strcmp(member, name) == 0)
            return true;
    return false;
}

static size_t groups_of(const struct user *user, gid_t groups[MAX_GROUPS])
{
    char line[16384];
    char *fields[FIELDS];
    size_t count = 0;
    FILE *file = fopen("/etc/group", "re");

    groups[count++] = user->gid;
    while (file && count < MAX_GROUPS && fgets(line, sizeof line, file)) {
        unsigned gid;
        if (cut(line, fields) == 4 && number(fields[2], &gid) == 0 && gid != user->gid && is_member(fields[3], user->name))
            groups[count++] = gid;
    }
    if (file)
        fclose(file);
    return count;
}

int user_become(const struct user *user)
{
    gid_t groups[MAX_GROUPS];
    size_t count = groups_of(user, groups);

    return setgroups(count, groups) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0 ? -1 : 0;
}
