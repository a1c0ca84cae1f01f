/* SPDX-License-Identifier: MIT
 *
 * See proxy.h. One thread does all; `latch` guards what the test asks of it.
 */
#include "proxy.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINKS = 64, PATH_ROOM = 256, CHUNK = 65536, HEADER = 5, STATEMENTS = 128 };

/* Both sockets of a connection; -1: closed. */
typedef struct passage {
    int sockets[2];
    char *bytes[2]; /* what came, up to the next whole message */
    size_t size[2], room[2];
    bool used, begun, stalled;
    int exchange[2], backend;
    char names[STATEMENTS][8], letters[STATEMENTS]; /* of statements that were prepared */
} passage;

struct proxy {
    pthread_t thread;
    char server_path[PATH_ROOM], directory[PATH_ROOM], conninfo[2 * PATH_ROOM];
    char server_conninfo[2 * PATH_ROOM];
    int listener, wake[2];
    pthread_mutex_t latch;
    pthread_cond_t changed;
    /* [latch] */
    passage links[LINKS];
    proxy_talk talk;
    proxy_harm harm;
    proxy_side harm_side;
    int harm_at, dropping;
    bool over, refuses;
    char version[32];
};

/* ---- a link ---- */

static void
side_close(passage *l, proxy_side side)
{
    if (l->sockets[side] >= 0)
        close(l->sockets[side]);
    l->sockets[side] = -1;
}

/* Whoever is told no more hears of it; then the link is used until the server has ended, too. */
static void
link_break(proxy *p, passage *l)
{
    side_close(l, PROXY_CLIENT);
    if (l->sockets[PROXY_SERVER] >= 0) {
        shutdown(l->sockets[PROXY_SERVER], SHUT_WR);
    } else {
        free(l->bytes[0]);
        free(l->bytes[1]);
        *l = (passage){.used = false, .sockets = {-1, -1}};
    }
    pthread_cond_broadcast(&p->changed);
}

static void
bytes_send(passage *l, proxy_side to, const char *bytes, size_t size)
{
    while (size != 0 && l->sockets[to] >= 0) {
        ssize_t sent = send(l->sockets[to], bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; /* its end is read next */
        bytes += sent;
        size -= (size_t)sent;
    }
}

/* ---- messages ---- */

static uint32_t
number_read(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* The size of the first message; 0: it is not whole. */
static size_t
message_size(const passage *l, proxy_side side)
{
    size_t type = side == PROXY_CLIENT && !l->begun ? 0 : 1;
    if (l->size[side] < type + 4)
        return 0;
    size_t size = type + number_read(l->bytes[side] + type);
    return l->size[side] >= size ? size : 0;
}

/* Parse: notes the first letter of a statement's text. Bind: finds it. */
static char
statement_letter(passage *l, const char *bytes, char type)
{
    const char *name = type == 'P' ? bytes + HEADER : bytes + HEADER + strlen(bytes + HEADER) + 1;
    int i = 0;
    while (i < STATEMENTS - 1 && l->letters[i] != '\0' && strncmp(l->names[i], name, 7) != 0)
        i++;
    if (type == 'P') {
        snprintf(l->names[i], sizeof l->names[i], "%.7s", name);
        l->letters[i] = name[strlen(name) + 1];
    }
    return l->letters[i];
}

static void
message_note(proxy *p, passage *l, proxy_side side, const char *bytes, char type)
{
    int n = p->talk.count[side]++;
    char tag = '\0';
    if (side == PROXY_SERVER && type == 'C')
        tag = bytes[HEADER];
    else if (side == PROXY_CLIENT && (type == 'P' || type == 'B'))
        tag = statement_letter(l, bytes, type);
    if (n < PROXY_MESSAGES)
        p->talk.said[side][n] = (proxy_message){type, tag, l->exchange[side]};
    bool ends = side == PROXY_CLIENT ? type == '0' || type == 'S' || type == 'Q' : type == 'Z';
    l->exchange[side] += ends;
    if (side == PROXY_SERVER && type == 'K')
        l->backend = (int)number_read(bytes + HEADER);
}

/* What the client had sent, too. */
static void
rest_note(proxy *p, passage *l)
{
    size_t size, done = 0, type = l->begun ? 1 : 0;
    while (l->begun && l->size[PROXY_CLIENT] >= done + type + 4 &&
           (size = type + number_read(l->bytes[PROXY_CLIENT] + done + type)) <=
               l->size[PROXY_CLIENT] - done) {
        const char *bytes = l->bytes[PROXY_CLIENT] + done;
        message_note(p, l, PROXY_CLIENT, bytes, bytes[0]);
        done += size;
    }
}

/* The server ends the session, and has said so when this returns. */
static void
backend_terminate(proxy *p, int backend)
{
    char text[64];
    PGconn *pg = PQconnectdb(p->server_conninfo);
    snprintf(text, sizeof text, "SELECT pg_terminate_backend(%d, 10000)", backend);
    PQclear(PQexec(pg, text));
    PQfinish(pg);
}

/* Sends another version than the server's. */
static bool
version_fake(const proxy *p, passage *l, const char *bytes, char type)
{
    static const char name[] = "server_version";
    char fake[128] = {'S'};
    if (p->version[0] == '\0' || type != 'S' || strcmp(bytes + HEADER, name) != 0)
        return false;
    size_t size = 4 + sizeof name + strlen(p->version) + 1;
    fake[4] = (char)size;
    memcpy(fake + HEADER, name, sizeof name);
    memcpy(fake + HEADER + sizeof name, p->version, strlen(p->version) + 1);
    bytes_send(l, PROXY_CLIENT, fake, size + 1);
    return true;
}

/* Hands on a message, or does the harm. */
static void
message_pass(proxy *p, passage *l, proxy_side side, const char *bytes, size_t size)
{
    static const char garbage[64] = "\xff\xfe\x01 this is no message of the protocol";
    char type = side == PROXY_CLIENT && !l->begun ? '0' : bytes[0];
    bool harms = p->harm != PROXY_NONE && p->harm_side == side &&
                 p->talk.count[side] == p->harm_at && !p->talk.harmed;
    proxy_side to = side == PROXY_CLIENT ? PROXY_SERVER : PROXY_CLIENT;
    message_note(p, l, side, bytes, type);
    l->begun = true;
    p->talk.harmed |= harms;
    bool goes_on = p->harm == PROXY_TERMINATE || p->harm == PROXY_HOLD;
    if (harms && side == PROXY_CLIENT && !goes_on)
        rest_note(p, l);
    switch (harms ? p->harm : PROXY_NONE) {
    case PROXY_CUT:
        link_break(p, l);
        return;
    case PROXY_TRUNCATE:
        bytes_send(l, to, bytes, size / 2);
        link_break(p, l);
        return;
    case PROXY_STALL:
        l->stalled = true;
        return;
    case PROXY_GARBAGE:
        bytes_send(l, to, garbage, sizeof garbage);
        l->stalled = true;
        return;
    case PROXY_TERMINATE:
        if (l->backend != 0)
            backend_terminate(p, l->backend);
        break;
    case PROXY_HOLD:
        poll(&(struct pollfd){.fd = l->sockets[PROXY_SERVER], .events = POLLIN}, 1, 10000);
        break;
    case PROXY_NONE:
        break;
    }
    if (side == PROXY_CLIENT || !version_fake(p, l, bytes, type))
        bytes_send(l, to, bytes, size);
}

static void
messages_pass(proxy *p, passage *l, proxy_side side)
{
    size_t size;
    while (l->sockets[PROXY_CLIENT] >= 0 && !l->stalled && (size = message_size(l, side)) != 0) {
        char *bytes = malloc(size);
        if (bytes == NULL)
            abort();
        memcpy(bytes, l->bytes[side], size);
        memmove(l->bytes[side], l->bytes[side] + size, l->size[side] - size);
        l->size[side] -= size;
        message_pass(p, l, side, bytes, size);
        free(bytes);
    }
}

/* Reads what a socket has. */
static void
side_read(proxy *p, passage *l, proxy_side side)
{
    if (l->room[side] < l->size[side] + CHUNK) {
        l->room[side] = 2 * l->room[side] + CHUNK;
        l->bytes[side] = realloc(l->bytes[side], l->room[side]);
        if (l->bytes[side] == NULL)
            abort();
    }
    ssize_t got = recv(l->sockets[side], l->bytes[side] + l->size[side], CHUNK, 0);
    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        side_close(l, side);
        link_break(p, l);
    } else if (l->sockets[PROXY_CLIENT] >= 0 && !l->stalled) {
        l->size[side] += (size_t)got;
        messages_pass(p, l, side);
    }
}

/* ---- the thread ---- */

static int
socket_open(const char *path, bool listens)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int failed = listens ? bind(s, (struct sockaddr *)&address, sizeof address) || listen(s, LINKS)
                         : connect(s, (struct sockaddr *)&address, sizeof address);
    if (failed == 0)
        return s;
    close(s);
    return -1;
}

static void
link_accept(proxy *p)
{
    int client = accept(p->listener, NULL, NULL), i = 0;
    while (i < LINKS && p->links[i].used)
        i++;
    int server = client < 0 || p->refuses || i == LINKS ? -1 : socket_open(p->server_path, false);
    if (server < 0) {
        if (client >= 0)
            close(client);
        return;
    }
    p->links[i] = (passage){.used = true, .sockets = {client, server}};
    p->talk.connects++;
}

static void
links_drop(proxy *p)
{
    for (int i = 0; i < LINKS; i++)
        if (p->links[i].used && p->links[i].sockets[PROXY_CLIENT] >= 0)
            link_break(p, &p->links[i]);
    p->dropping = 0;
    pthread_cond_broadcast(&p->changed);
}

static void *
proxy_run(void *context)
{
    proxy *p = context;
    pthread_mutex_lock(&p->latch);
    while (!p->over) {
        struct pollfd fds[2 + 2 * LINKS] = {{.fd = p->listener, .events = POLLIN},
                                            {.fd = p->wake[0], .events = POLLIN}};
        for (int i = 0; i < 2 * LINKS; i++) {
            const passage *l = &p->links[i / 2];
            bool waits =
                l->used && !(l->stalled && i % 2 == PROXY_SERVER && l->sockets[PROXY_CLIENT] >= 0);
            fds[2 + i] = (struct pollfd){.fd = waits ? l->sockets[i % 2] : -1, .events = POLLIN};
        }
        pthread_mutex_unlock(&p->latch);
        int ready = poll(fds, 2 + 2 * LINKS, -1);
        pthread_mutex_lock(&p->latch);
        char woken[16];
        if (ready > 0 && fds[1].revents != 0 && read(p->wake[0], woken, sizeof woken) < 0)
            abort();
        if (p->dropping != 0)
            links_drop(p);
        for (int i = 0; ready > 0 && i < 2 * LINKS; i++)
            if (fds[2 + i].revents != 0 && p->links[i / 2].used &&
                p->links[i / 2].sockets[i % 2] == fds[2 + i].fd)
                side_read(p, &p->links[i / 2], (proxy_side)(i % 2));
        if (ready > 0 && fds[0].revents != 0)
            link_accept(p);
    }
    pthread_mutex_unlock(&p->latch);
    return NULL;
}

/* ---- what the test calls ---- */

static void
proxy_wake(proxy *p)
{
    if (write(p->wake[1], "", 1) != 1)
        abort();
}

proxy *
proxy_new(const char *conninfo, const char *directory)
{
    proxy *p = calloc(1, sizeof *p);
    char path[2 * PATH_ROOM];
    if (p == NULL)
        abort();
    snprintf(p->server_conninfo, sizeof p->server_conninfo, "%s", conninfo);
    snprintf(p->server_path, sizeof p->server_path, "%.200s/.s.PGSQL.5432", directory);
    snprintf(p->directory, sizeof p->directory, "%.200s/proxy-XXXXXX", directory);
    for (int i = 0; i < LINKS; i++)
        p->links[i] = (passage){.sockets = {-1, -1}};
    if (mkdtemp(p->directory) == NULL || pipe(p->wake) != 0)
        abort();
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", p->directory);
    snprintf(p->conninfo, sizeof p->conninfo, "host=%s user=latchkey dbname=postgres",
             p->directory);
    p->listener = socket_open(path, true);
    pthread_mutex_init(&p->latch, NULL);
    pthread_cond_init(&p->changed, NULL);
    if (p->listener < 0 || pthread_create(&p->thread, NULL, proxy_run, p) != 0)
        abort();
    return p;
}

void
proxy_free(proxy *p)
{
    char path[2 * PATH_ROOM];
    pthread_mutex_lock(&p->latch);
    p->over = true;
    pthread_mutex_unlock(&p->latch);
    proxy_wake(p);
    pthread_join(p->thread, NULL);
    for (int i = 0; i < LINKS; i++) {
        side_close(&p->links[i], PROXY_SERVER);
        link_break(p, &p->links[i]);
    }
    close(p->listener);
    close(p->wake[0]);
    close(p->wake[1]);
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", p->directory);
    unlink(path);
    rmdir(p->directory);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->latch);
    free(p);
}

const char *
proxy_conninfo(const proxy *p)
{
    return p->conninfo;
}

void
proxy_watch(proxy *p, proxy_harm harm, proxy_side side, int at)
{
    pthread_mutex_lock(&p->latch);
    memset(&p->talk, 0, sizeof p->talk);
    for (int i = 0; i < LINKS; i++)
        p->links[i].exchange[0] = p->links[i].exchange[1] = 0;
    p->harm = harm;
    p->harm_side = side;
    p->harm_at = at;
    pthread_mutex_unlock(&p->latch);
}

static bool
ends_are_near(const proxy *p)
{
    for (int i = 0; i < LINKS; i++)
        if (p->links[i].used && p->links[i].sockets[PROXY_CLIENT] < 0)
            return false;
    return true;
}

void
proxy_settle(proxy *p, proxy_talk *talk)
{
    pthread_mutex_lock(&p->latch);
    while (!ends_are_near(p))
        pthread_cond_wait(&p->changed, &p->latch);
    p->harm = PROXY_NONE;
    if (talk != NULL)
        *talk = p->talk;
    pthread_mutex_unlock(&p->latch);
}

static int
open_count(const proxy *p)
{
    int open = 0;
    for (int i = 0; i < LINKS; i++)
        open += p->links[i].used && p->links[i].sockets[PROXY_CLIENT] >= 0;
    return open;
}

int
proxy_open(proxy *p, int most)
{
    struct timespec until;
    bool in_time = true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&p->latch);
    while (in_time && open_count(p) > most)
        in_time = pthread_cond_timedwait(&p->changed, &p->latch, &until) == 0;
    int open = open_count(p);
    pthread_mutex_unlock(&p->latch);
    return open;
}

void
proxy_drop(proxy *p)
{
    pthread_mutex_lock(&p->latch);
    p->dropping = 1;
    proxy_wake(p);
    while (p->dropping != 0)
        pthread_cond_wait(&p->changed, &p->latch);
    pthread_mutex_unlock(&p->latch);
}

void
proxy_refuse(proxy *p, bool refuse)
{
    pthread_mutex_lock(&p->latch);
    p->refuses = refuse;
    pthread_mutex_unlock(&p->latch);
}

void
proxy_fake_version(proxy *p, const char *version)
{
    pthread_mutex_lock(&p->latch);
    snprintf(p->version, sizeof p->version, "%s", version != NULL ? version : "");
    pthread_mutex_unlock(&p->latch);
}
