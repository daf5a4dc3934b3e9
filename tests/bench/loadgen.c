/*
 * loadgen: calls per second and latency of a server that takes one request per connection.
 *
 * Each of CLIENTS threads does, as a caller of the management API does: connect, send the request, half-close, read
 * the reply to its end, check how it begins, close. The latency of a call is the time from before connect to after
 * the end of the reply. What fails is counted and never part of the latencies.
 *
 *     loadgen --socket PATH --clients N --seconds S --request TEXT [--expect TEXT] [--rate N] [--warmup S]
 *     loadgen --socket PATH --request TEXT --expect TEXT --first       tries until one call is answered, for ten seconds
 *
 * In TEXT, \0 is a zero byte and \n a newline. With --rate the clients together make N calls a second: each has its own fixed
 * times to call, evenly spread, and latency counts from such a time even when the client comes late to it, so that a
 * server that stalls cannot hide it (no coordinated omission).
 * Prints one line of JSON; exit 1 when any call failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Microseconds: exact below LINEAR, then 32 steps per power of two, about 3 %. */
#define LINEAR 1024
#define STEPS 32
#define BUCKETS (LINEAR + STEPS * 22)

struct histogram {
    uint64_t count[BUCKETS];
    uint64_t calls, failed, max_us;
};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char *request, *expected = "";
static size_t request_length, expected_length;
static int clients = 1;
static double rate;
static uint64_t start_ns, measured_from_ns, end_ns;
static atomic_int first_error;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t at)
{
    struct timespec t = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static int bucket_of(uint64_t us)
{
    if (us < LINEAR)
        return (int)us;
    int power = 63 - __builtin_clzll(us);
    int bucket = LINEAR + (power - 10) * STEPS + (int)((us >> (power - 5)) & (STEPS - 1));
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t value_of(int bucket)
{
    if (bucket < LINEAR)
        return (uint64_t)bucket;
    int power = (bucket - LINEAR) / STEPS + 10;
    return ((uint64_t)STEPS + (uint64_t)((bucket - LINEAR) % STEPS) + 1) << (power - 5);
}

/* One call; 0 when the reply was whole and began as expected, else an errno, EBADMSG for a wrong reply. */
static int call(void)
{
    char reply[65536];
    size_t got = 0;
    int error = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || send(fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length || shutdown(fd, SHUT_WR) < 0) {
        error = errno;
        close(fd);
        return error;
    }
    for (;;) {
        /* The beginning is what is checked; what comes after the buffer is full is read over it. */
        size_t keep = got < expected_length ? got : expected_length;
        ssize_t n = recv(fd, reply + keep, sizeof reply - keep, 0);
        if (n <= 0) {
            error = n < 0 ? errno : 0;
            break;
        }
        got += (size_t)n;
    }
    close(fd);
    if (!error && (got == 0 || got < expected_length || memcmp(reply, expected, expected_length) != 0))
        error = EBADMSG;
    return error;
}

static void *client(void *argument)
{
    static atomic_int numbers;
    struct histogram *result = argument;
    double interval = rate > 0 ? 1e9 * clients / rate : 0;
    double planned = (double)start_ns + interval * atomic_fetch_add(&numbers, 1) / clients;
    prctl(PR_SET_TIMERSLACK, 1UL);
    sleep_until(start_ns);
    for (;;) {
        uint64_t began = now_ns();
        if (interval > 0) {
            if (began < (uint64_t)planned)
                sleep_until((uint64_t)planned);
            began = (uint64_t)planned;
            planned += interval;
        }
        if (began >= end_ns)
            return NULL;
        int error = call();
        uint64_t us = (now_ns() - began) / 1000;
        if (began < measured_from_ns)
            continue;
        if (error) {
            result->failed++;
            atomic_store(&first_error, error);
            usleep(1000);
            continue;
        }
        result->calls++;
        result->count[bucket_of(us)]++;
        if (us > result->max_us)
            result->max_us = us;
    }
}

/* A server that is starting: 0 once a call is answered. */
static int wait_for_first(void)
{
    for (int i = 0; i < 20000; i++) {
        if (call() == 0)
            return 0;
        usleep(500);
    }
    fprintf(stderr, "loadgen: no reply within 10 s\n");
    return 1;
}

static uint64_t percentile(const struct histogram *all, double part)
{
    uint64_t wanted = (uint64_t)((double)all->calls * part), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += all->count[i];
        if (seen > wanted)
            return value_of(i) < all->max_us ? value_of(i) : all->max_us;
    }
    return all->max_us;
}

static char *unescape(const char *text, size_t *length)
{
    char *bytes = malloc(strlen(text) + 1);
    *length = 0;
    for (; *text; text++) {
        char c = *text;
        if (c == '\\' && (text[1] == '0' || text[1] == 'n'))
            c = *++text == '0' ? '\0' : '\n';
        bytes[(*length)++] = c;
    }
    return bytes;
}

static void usage(void)
{
    fprintf(stderr, "usage: loadgen --socket PATH --clients N --seconds S --request TEXT [--expect TEXT] [--rate N] [--warmup S] [--first]\n");
    exit(2);
}

static void run(struct histogram *each)
{
    pthread_t *threads = calloc((size_t)clients, sizeof *threads);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    for (int i = 0; i < clients; i++) {
        if (pthread_create(&threads[i], &attributes, client, &each[i]) != 0) {
            fprintf(stderr, "loadgen: cannot make %d threads\n", clients);
            exit(1);
        }
    }
    for (int i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

int main(int count, char **arguments)
{
    static const struct option options[] = {
        {"socket", 1, 0, 's'}, {"clients", 1, 0, 'c'}, {"seconds", 1, 0, 't'}, {"request", 1, 0, 'r'},
        {"expect", 1, 0, 'e'}, {"rate", 1, 0, 'R'},    {"warmup", 1, 0, 'w'},  {"first", 0, 0, 'f'},   {0},
    };
    double seconds = 2, warmup = 0;
    int option, first = 0;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            if (strlen(optarg) >= sizeof address.sun_path)
                usage();
            strcpy(address.sun_path, optarg);
            break;
        case 'c': clients = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'r': request = unescape(optarg, &request_length); break;
        case 'e': expected = unescape(optarg, &expected_length); break;
        case 'R': rate = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'f': first = 1; break;
        default: usage();
        }
    }
    if (!address.sun_path[0] || !request || clients < 1 || clients > 4096 || seconds <= 0 || expected_length > 4096)
        usage();
    if (first)
        return wait_for_first();
    struct histogram *each = calloc((size_t)clients + 1, sizeof *each), *all = &each[clients];
    start_ns = now_ns() + 20000000u;
    measured_from_ns = start_ns + (uint64_t)(warmup * 1e9);
    end_ns = measured_from_ns + (uint64_t)(seconds * 1e9);
    run(each);
    double took = (double)(now_ns() - measured_from_ns) / 1e9;
    for (int i = 0; i < clients; i++) {
        all->calls += each[i].calls;
        all->failed += each[i].failed;
        if (each[i].max_us > all->max_us)
            all->max_us = each[i].max_us;
        for (int b = 0; b < BUCKETS; b++)
            all->count[b] += each[i].count[b];
    }
    printf("{\"clients\":%d,\"calls\":%llu,\"failed\":%llu,\"calls_per_s\":%.0f,\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu}\n", clients,
           (unsigned long long)all->calls, (unsigned long long)all->failed, (double)all->calls / took, (unsigned long long)percentile(all, 0.50),
           (unsigned long long)percentile(all, 0.99), (unsigned long long)all->max_us);
    if (all->failed)
        fprintf(stderr, "loadgen: %llu calls failed, one with: %s\n", (unsigned long long)all->failed, strerror(atomic_load(&first_error)));
    return all->failed ? 1 : 0;
}
