/* Load that no standard tool makes: small datagrams at full rate, one question at a time, and many
 * short connections at once.
 *
 *     load sink PORT                            count datagrams until stdin ends
 *     load flood ADDRESS PORT SECONDS RATE      send datagrams, RATE a second, 0: as fast as it goes
 *     load echo PORT                            send every datagram back until stdin ends
 *     load ping-pong ADDRESS PORT SECONDS       one datagram there and back at a time
 *     load answer PORT                          answer one request per connection until stdin ends
 *     load connect ADDRESS PORT SECONDS         connect, ask, be answered, close; sixteen at once
 *
 * Each prints one line of JSON when it ends. Servers say "ready" first. Errors go to stderr, with
 * status 1.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PAYLOAD = 18,               /* makes the shortest Ethernet frame */
    BATCH = 32,
    ROOM = 64,                  /* for a request or an answer */
    AT_ONCE = 16,               /* connections */
    QUEUE = 1024,
    MOST_SAMPLES = 1 << 22,
    RECEIVE_BUFFER = 16 << 20,  /* so that the sink is not what loses frames */
    TICK_US = 100,              /* a paced sender sends this often */
    PATIENCE_MS = 200,          /* for a datagram to come back */
};

static const uint64_t SECOND = 1000000000ull;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * SECOND + at.tv_nsec;
}

static void sleep_until(uint64_t when)
{
    struct timespec at = {.tv_sec = when / SECOND, .tv_nsec = when % SECOND};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static struct sockaddr_in place(const char *address, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
        die(address);
    return at;
}

static int open_socket(int type)
{
    int fd = socket(AF_INET, type, 0);
    if (fd < 0)
        die("socket");
    return fd;
}

static int serve(int type, const char *port)
{
    int fd = open_socket(type), yes = 1, room = RECEIVE_BUFFER;
    struct sockaddr_in at = place("0.0.0.0", port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("bind");
    if (type & SOCK_STREAM && listen(fd, QUEUE) < 0)
        die("listen");
    puts("ready");
    fflush(stdout);
    return fd;
}

static int towards(int type, const char *address, const char *port)
{
    int fd = open_socket(type);
    struct sockaddr_in to = place(address, port);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    return fd;
}

/* Wait for fd; 0 when stdin has ended instead. */
static int wait_for(int fd)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    char rest[ROOM];
    for (;;) {
        if (poll(both, 2, -1) < 0)
            die("poll");
        if (both[0].revents)
            return 1;
        if (both[1].revents && read(STDIN_FILENO, rest, sizeof rest) <= 0)
            return 0;
    }
}

struct batch {
    struct mmsghdr message[BATCH];
    struct iovec part[BATCH];
    char payload[BATCH][ROOM];
};

static struct batch *make_batch(size_t length)
{
    static struct batch batch;
    for (int each = 0; each < BATCH; each++) {
        batch.part[each] = (struct iovec){batch.payload[each], length};
        batch.message[each].msg_hdr = (struct msghdr){.msg_iov = &batch.part[each], .msg_iovlen = 1};
    }
    return &batch;
}

static void sink(const char *port)
{
    int fd = serve(SOCK_DGRAM | SOCK_NONBLOCK, port);
    struct batch *batch = make_batch(ROOM);
    uint64_t received = 0, first = 0, last = 0;
    while (wait_for(fd)) {
        int count;
        while ((count = recvmmsg(fd, batch->message, BATCH, 0, NULL)) > 0) {
            last = now();
            first = first ? first : last;
            received += count;
        }
    }
    printf("{\"received\": %llu, \"seconds\": %.9f}\n", (unsigned long long)received,
           (double)(last - first) / SECOND);
}

static void flood(const char *address, const char *port, double seconds, double rate)
{
    int fd = towards(SOCK_DGRAM, address, port);
    struct batch *batch = make_batch(PAYLOAD);
    uint64_t begun = now(), end = begun + seconds * SECOND, at = begun, sent = 0;
    for (uint64_t tick = begun; at < end; at = now()) {
        uint64_t due = rate > 0 ? (at - begun) * rate / SECOND : sent + BATCH;
        while (sent < due) {
            int wanted = due - sent < BATCH ? (int)(due - sent) : BATCH;
            int count = sendmmsg(fd, batch->message, wanted, 0);
            if (count < 0 && errno != ENOBUFS && errno != ECONNREFUSED)
                die("sendmmsg");
            sent += count > 0 ? count : 0;
            if (now() >= end)
                break;
        }
        if (rate > 0) {
            tick += TICK_US * 1000;
            sleep_until(tick);
        }
    }
    printf("{\"sent\": %llu, \"seconds\": %.9f}\n", (unsigned long long)sent,
           (double)(at - begun) / SECOND);
}

static void echo(const char *port)
{
    int fd = serve(SOCK_DGRAM, port);
    char payload[ROOM];
    struct sockaddr_in from;
    while (wait_for(fd)) {
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(fd, payload, sizeof payload, 0, (struct sockaddr *)&from, &size);
        if (length >= 0)
            sendto(fd, payload, length, 0, (struct sockaddr *)&from, size);
    }
}

static int by_size(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

/* Microseconds that this part of the samples did not take longer than. */
static double quantile(uint32_t *samples, size_t count, double part)
{
    if (count == 0)
        return 0;
    size_t index = part * count;
    return samples[index < count ? index : count - 1] / 1e3;
}

static void tell(uint64_t count, uint64_t failed, double seconds, uint32_t *samples)
{
    size_t kept = count < MOST_SAMPLES ? count : MOST_SAMPLES;
    qsort(samples, kept, sizeof *samples, by_size);
    printf("{\"count\": %llu, \"failed\": %llu, \"seconds\": %.9f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f}\n", (unsigned long long)count, (unsigned long long)failed, seconds,
           quantile(samples, kept, 0.5), quantile(samples, kept, 0.99));
}

static uint32_t *make_samples(void)
{
    uint32_t *samples = malloc(MOST_SAMPLES * sizeof *samples);
    if (!samples)
        die("malloc");
    return samples;
}

static void ping_pong(const char *address, const char *port, double seconds)
{
    int fd = towards(SOCK_DGRAM, address, port);
    struct timeval patience = {.tv_usec = PATIENCE_MS * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    uint32_t *samples = make_samples();
    uint64_t begun = now(), end = begun + seconds * SECOND, at = begun, count = 0, failed = 0;
    union {
        uint64_t number;
        char bytes[PAYLOAD];
    } ping = {0}, pong;
    while (at < end) {
        ping.number++;
        ssize_t length = send(fd, &ping, sizeof ping.bytes, 0);
        do    /* one that was given up may still come */
            length = length < 0 ? length : recv(fd, &pong, sizeof pong.bytes, 0);
        while (length > 0 && pong.number != ping.number);
        uint64_t back = now();
        if (length <= 0)
            failed++;
        else if (count++ < MOST_SAMPLES)
            samples[count - 1] = back - at;
        at = back;
    }
    tell(count, failed, (double)(at - begun) / SECOND, samples);
}

static void answer(const char *port)
{
    int listener = serve(SOCK_STREAM | SOCK_NONBLOCK, port), poller = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[QUEUE];
    char bytes[ROOM] = {0};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    while (wait_for(poller)) {
        int count = epoll_wait(poller, ready, QUEUE, 0);
        for (int each = 0; each < count; each++) {
            int fd = ready[each].data.fd;
            if (fd != listener) {
                if (recv(fd, bytes, sizeof bytes, 0) > 0)
                    send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
                close(fd);
                continue;
            }
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}

/* One of the connections that are under way; data.u32 of its events is its index. */
struct visit {
    int fd;
    int has_asked;
    uint64_t begun;
};

static void begin_visit(struct visit *visit, uint32_t index, int poller, struct sockaddr_in *to)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    *visit = (struct visit){.fd = open_socket(SOCK_STREAM | SOCK_NONBLOCK), .begun = now()};
    if (connect(visit->fd, (struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)
        die("connect");
    epoll_ctl(poller, EPOLL_CTL_ADD, visit->fd, &event);
}

/* Go on with a visit. 1: it has ended well, -1: badly, 0: it goes on. */
static int go_on(struct visit *visit, uint32_t index, int poller)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    char bytes[ROOM] = {0};
    if (!visit->has_asked) {
        if (send(visit->fd, bytes, sizeof bytes, MSG_NOSIGNAL) != sizeof bytes)
            return -1;
        visit->has_asked = 1;
        epoll_ctl(poller, EPOLL_CTL_MOD, visit->fd, &event);
        return 0;
    }
    ssize_t length = recv(visit->fd, bytes, sizeof bytes, 0);
    if (length > 0 || (length < 0 && errno == EAGAIN))
        return 0;
    return length == 0 ? 1 : -1;
}

static void connect_often(const char *address, const char *port, double seconds)
{
    struct sockaddr_in to = place(address, port);
    struct visit visits[AT_ONCE];
    struct epoll_event ready[AT_ONCE];
    uint32_t *samples = make_samples();
    int poller = epoll_create1(0);
    uint64_t begun = now(), end = begun + seconds * SECOND, at = begun, count = 0, failed = 0;
    for (uint32_t each = 0; each < AT_ONCE; each++)
        begin_visit(&visits[each], each, poller, &to);
    for (; at < end; at = now()) {
        int events = epoll_wait(poller, ready, AT_ONCE, (end - at) / 1000000 + 1);
        for (int each = 0; each < events; each++) {
            uint32_t index = ready[each].data.u32;
            int outcome = go_on(&visits[index], index, poller);
            if (outcome == 0)
                continue;
            if (outcome < 0)
                failed++;
            else if (count++ < MOST_SAMPLES)
                samples[count - 1] = now() - visits[index].begun;
            close(visits[index].fd);
            begin_visit(&visits[index], index, poller, &to);
        }
    }
    tell(count, failed, (double)(at - begun) / SECOND, samples);
}

int main(int count, char **words)
{
    const char *what = count > 2 ? words[1] : "";
    prctl(PR_SET_TIMERSLACK, 1);
    prctl(PR_SET_PDEATHSIG, 9);
    if (count == 3 && !strcmp(what, "sink"))
        sink(words[2]);
    else if (count == 6 && !strcmp(what, "flood"))
        flood(words[2], words[3], atof(words[4]), atof(words[5]));
    else if (count == 3 && !strcmp(what, "echo"))
        echo(words[2]);
    else if (count == 5 && !strcmp(what, "ping-pong"))
        ping_pong(words[2], words[3], atof(words[4]));
    else if (count == 3 && !strcmp(what, "answer"))
        answer(words[2]);
    else if (count == 5 && !strcmp(what, "connect"))
        connect_often(words[2], words[3], atof(words[4]));
    else {
        fputs("load: see the head of load.c\n", stderr);
        return 2;
    }
    return 0;
}
