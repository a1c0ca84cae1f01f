/* SPDX-License-Identifier: MIT
 *
 * A server's sessions: each lives for half an hour after it was last used, threads come and go, and
 * a background thread gives the memory of those that have expired back.
 */
#include <latchkey/latchkey.h>
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, SESSIONS = 1000 };

static lk_db *sessions;

/* Looks a session up and renews it. LK_NOT_FOUND: log in again. */
static lk_status
session_touch(const char *user, const char *id, lk_result *result)
{
    lk_key key = lk_key_of(user, id);
    lk_status status = lk_get(sessions, key, result);
    if (status != LK_OK)
        return status;
    lk_item item = *lk_result_item(result, 0);
    item.expires_at_ms = lk_expires_in(sessions, LK_MINUTES(30));
    return lk_set(sessions, &item, 1);
}

static void *
serve(void *unused)
{
    (void)unused;
    long failures = 0;
    lk_result *result = lk_result_new();
    for (int i = 0; i < SESSIONS && result != NULL; i++) {
        char id[32];
        snprintf(id, sizeof id, "session-%d", i);
        lk_item item = {.key = lk_key_of("user#1", id),
                        .data = lk_string("{\"cart\":[]}"),
                        .expires_at_ms = lk_expires_in(sessions, LK_MINUTES(30))};
        failures += lk_set(sessions, &item, 1) != LK_OK;
        failures += session_touch("user#1", id, result) != LK_OK;
    }
    lk_result_free(result);
    return (void *)failures;
}

int
main(void)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.sweep_interval_ms = LK_SECONDS(1);
    if (lk_memory_open(&options, &sessions) != LK_OK)
        return 1;
    pthread_t threads[THREADS];
    void *failures = NULL;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, serve, NULL) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failures);
        if (failures != NULL)
            return 1;
    }

    /* All sessions of a user, newest page first, however many there are. */
    lk_query query = {
        .pk = lk_string("user#1"), .sk_prefix = lk_string("session-"), .reverse = true};
    lk_stream *stream;
    lk_item item;
    int count = 0;
    if (lk_stream_open(sessions, &query, &stream) != LK_OK)
        return 1;
    while (lk_stream_next(stream, &item) == LK_OK)
        count++;
    lk_stream_close(stream);
    printf("%d sessions\n", count);
    lk_close(sessions);
    return count == SESSIONS ? 0 : 1;
}
