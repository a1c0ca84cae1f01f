/* SPDX-License-Identifier: MIT
 *
 * latchkey-instructions [ROW SLICES]: what single calls cost, in one thread, through the shared
 * library.
 *
 * Without arguments it makes every row's calls in a function of its own, measured_ROW, again and
 * again, for a tool that counts what these functions execute (bench/instructions). For each time it
 * prints a line "ROW UNITS"; a line "- 0" is the first time, when tables and results still grow.
 * Nothing there depends on the moment: time is a count of the times that somebody asked for it, and
 * random bytes are a sequence.
 *
 * With arguments it repeats one row so many times and prints the nanoseconds of a unit in the
 * fastest of them, by the thread's own clock. Time and random bytes are the system's.
 *
 * Keys, items and claims are made before, and lie one behind the other. The store holds 10,000
 * items: keys of 16 + 16 bytes in 10 partitions, values of 64 bytes, asked for in one shuffled
 * order.
 */
#include <dlfcn.h>
#include <latchkey/latchkey.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    PARTITIONS = 10,
    KEYS = 10000, /* of all partitions; a row of single keys goes through all */
    KEY_SIZE = 16,
    VALUE_SIZE = 64,
    MANY = 16,   /* keys of lk_get_many, jobs of a batch */
    SCAN = 100,  /* items of a query */
    SCANS = 100, /* queries of a row */
    JOBS = 2000,
    ROUNDS = 3 /* the first is not counted */
};

static lk_db *db, *cache, *fresh, *numbers;
static lk_result *result, *results[JOBS];
static char pks[PARTITIONS][KEY_SIZE + 1], sks[KEYS][KEY_SIZE + 1], values[KEYS][VALUE_SIZE];
static lk_key keys[KEYS];
static lk_item items[KEYS], jobs[JOBS];
static lk_lock locks[KEYS];
static lk_claim claims[JOBS];
static lk_query queries[SCANS];
static int64_t sum;
static size_t found, got_size;
static char got[VALUE_SIZE];
static lk_pull_options pull_one = LK_PULL_OPTIONS_INIT, pull_many = LK_PULL_OPTIONS_INIT;

/* ---- what does not depend on the moment ---- */

static bool counted; /* else the system's time and random bytes */
static int (*system_clock)(clockid_t, struct timespec *);

/* In place of the C library's, for the library too. 100 ns for each question. */
int
clock_gettime(clockid_t which, struct timespec *now)
{
    static int64_t asked;

    if (!counted && system_clock != NULL)
        return system_clock(which, now);
    if (!counted)
        return (int)syscall(SYS_clock_gettime, which, now);
    asked++;
    now->tv_sec = 1700000000 + asked / 10000000;
    now->tv_nsec = asked % 10000000 * 100;
    return 0;
}

static uint64_t
random_next(void)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

ssize_t
getrandom(void *buffer, size_t size, unsigned flags)
{
    if (!counted)
        return syscall(SYS_getrandom, buffer, size, flags);
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)(random_next() >> 24);
    return (ssize_t)size;
}

/* ---- the calls ----
 *
 * Each returns LK_OK if all of its calls did: statuses of faults and outcomes have bits of their
 * own. */

#define MEASURED __attribute__((noinline, noclone))
#define BOTH(status, call) (status) = (lk_status)((int)(status) | (int)(call))

/* measured_NAME: `call`, again and again, on the handle `on`, with `i` from 0 to `count` in steps
 * of `step`. */
#define MEASURE(name, handle, count, step, call)     \
    lk_status measured_##name(void);                 \
    MEASURED lk_status measured_##name(void)         \
    {                                                \
        lk_status status = LK_OK;                    \
        lk_db *on = (handle);                        \
        lk_result *into = result;                    \
        (void)into;                                  \
        for (size_t i = 0; i < (count); i += (step)) \
            BOTH(status, call);                      \
        return status;                               \
    }

lk_status measured_view(void), measured_commit(void);
void measured_end(void);

MEASURED lk_status
measured_view(void)
{
    lk_status status = LK_OK;
    lk_db *handle = db;
    lk_item item;

    lk_read_begin(handle);
    for (size_t i = 0; i < KEYS; i++)
        BOTH(status, lk_view_at(handle, &keys[i], &item));
    lk_read_end(handle);
    return status;
}

MEASURED lk_status
measured_commit(void)
{
    lk_status status = LK_OK;
    lk_db *handle = db;
    lk_result *into = result;

    for (size_t i = 0; i < KEYS; i += 2) {
        BOTH(status, lk_get_locked(handle, &keys[i], 2, &locks[i], into));
        BOTH(status, lk_set_atomic(handle, &items[i], 2, &locks[i], 2, NULL));
    }
    return status;
}

MEASURE(get_into, db, KEYS, 1, lk_get_into_at(on, &keys[i], got, sizeof got, &got_size))
MEASURE(get, db, KEYS, 1, lk_get_at(on, &keys[i], into))
MEASURE(get_many, db, KEYS, MANY, lk_get_many(on, &keys[i], MANY, into))
MEASURE(set, db, KEYS, 1, lk_set(on, &items[i], 1))
MEASURE(new_key, fresh, KEYS, 1, lk_set(on, &items[i], 1))
MEASURE(delete, fresh, KEYS, 1, lk_delete(on, &keys[i], 1))
MEASURE(put_if, db, KEYS, 1, lk_put_if(on, &items[i], LK_IF_PRESENT, items[i].data))
MEASURE(add, numbers, KEYS, 1, lk_add_at(on, &keys[i], 1, 0, &sum))
MEASURE(touch, numbers, KEYS, 1, lk_touch_at(on, &keys[i], INT64_MAX))
MEASURE(get_locked, db, KEYS, 2, lk_get_locked(on, &keys[i], 2, &locks[i], into))
MEASURE(set_atomic, db, KEYS, 2, lk_set_atomic(on, &items[i], 2, &locks[i], 2, NULL))
MEASURE(query, db, SCANS, 1, lk_query_items(on, &queries[i], into))
MEASURE(count, db, SCANS, 1, lk_count(on, &queries[i], &found))
MEASURE(cache_hit, cache, KEYS, 1, lk_get_at(on, &keys[i], into))
MEASURE(push, db, JOBS, 1, lk_queue_push(on, &jobs[i], 1, NULL, NULL))
MEASURE(pull, db, JOBS, 1, lk_queue_pull(on, &pull_one, results[i]))
MEASURE(acknowledge, db, JOBS, 1, lk_queue_acknowledge(on, &claims[i], 1))
MEASURE(push_batch, db, JOBS, MANY, lk_queue_push(on, &jobs[i], MANY, NULL, NULL))
MEASURE(pull_batch, db, JOBS, MANY, lk_queue_pull(on, &pull_many, results[i]))
MEASURE(acknowledge_batch, db, JOBS, MANY, lk_queue_acknowledge(on, &claims[i], MANY))

/* The mark of an end: the tool counts from the entry of a function to the entry of this one. */
MEASURED void
measured_end(void)
{
    __asm__ volatile("");
}

/* ---- what comes before them ---- */

static lk_status
fresh_prepare(void)
{
    lk_close(fresh);
    fresh = NULL;
    return lk_memory_open(NULL, &fresh);
}

/* After a pull of `each` jobs in a call: their claims, in one row. */
static lk_status
claims_take(size_t each)
{
    for (size_t i = 0; i < JOBS; i++) {
        const lk_claim *claim = lk_result_claim(results[i - i % each], i % each);
        if (claim == NULL)
            return LK_EMPTY;
        claims[i] = *claim;
    }
    return LK_OK;
}

static lk_status
claims_prepare(void)
{
    return claims_take(1);
}

static lk_status
batches_prepare(void)
{
    return claims_take(MANY);
}

/* In this order: a row may need what the one before it left. A row that does stands behind it with
 * `follows` set, and the rows of such a chain take turns. */
static const struct row {
    const char *name;
    lk_status (*prepare)(void);
    lk_status (*measured)(void);
    size_t units;
    bool follows;
} rows[] = {
    {"get_into", NULL, measured_get_into, KEYS, false},
    {"get", NULL, measured_get, KEYS, false},
    {"view", NULL, measured_view, KEYS, false},
    {"get_many", NULL, measured_get_many, KEYS, false},
    {"set", NULL, measured_set, KEYS, false},
    {"put_if", NULL, measured_put_if, KEYS, false},
    {"add", NULL, measured_add, KEYS, false},
    {"touch", NULL, measured_touch, KEYS, false},
    {"get_locked", NULL, measured_get_locked, KEYS / 2, false},
    {"set_atomic", NULL, measured_set_atomic, KEYS / 2, true},
    {"commit", NULL, measured_commit, KEYS / 2, false},
    {"push", NULL, measured_push, JOBS, false},
    {"pull", NULL, measured_pull, JOBS, true},
    {"acknowledge", claims_prepare, measured_acknowledge, JOBS, true},
    {"push_batch", NULL, measured_push_batch, JOBS, false},
    {"pull_batch", NULL, measured_pull_batch, JOBS, true},
    {"acknowledge_batch", batches_prepare, measured_acknowledge_batch, JOBS, true},
    {"cache_hit", NULL, measured_cache_hit, KEYS, false},
    {"query", NULL, measured_query, (size_t)SCANS *SCAN, false},
    {"count", NULL, measured_count, (size_t)SCANS *SCAN, false},
    {"new_key", fresh_prepare, measured_new_key, KEYS, false},
    {"delete", NULL, measured_delete, KEYS, true},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void
keys_make(void)
{
    size_t order[KEYS];

    for (size_t i = 0; i < PARTITIONS; i++)
        snprintf(pks[i], sizeof pks[i], "partition-%06u", (unsigned)i);
    for (size_t i = 0; i < KEYS; i++) {
        size_t other = (size_t)(random_next() % (i + 1));
        order[i] = order[other];
        order[other] = i;
    }
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(sks[i], sizeof sks[i], "item-%011u", (unsigned)(order[i] / PARTITIONS));
        memset(values[i], (int)i, VALUE_SIZE);
        keys[i] = (lk_key){{pks[order[i] % PARTITIONS], KEY_SIZE}, {sks[i], KEY_SIZE}};
        items[i] = (lk_item){keys[i], {values[i], VALUE_SIZE}, 0};
    }
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = (lk_item){{{"jobs", 4}, {NULL, 0}}, {values[i], VALUE_SIZE}, 0};
    /* After the first of a thousand up to the nine-hundredth. */
    for (size_t i = 0, made = 0; made < SCANS; i++)
        if (order[i] / PARTITIONS < KEYS / PARTITIONS - SCAN)
            queries[made++] = (lk_query){.pk = keys[i].pk, .after = keys[i].sk, .limit = SCAN};
    pull_one.pk = pull_many.pk = jobs[0].key.pk;
    pull_many.max_jobs = MANY;
}

static lk_status
stores_open(void)
{
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    lk_status status = lk_memory_open(NULL, &db);

    options.max_items = (size_t)KEYS * 4;
    if (status == LK_OK)
        status = lk_cache_open(db, &options, &cache);
    if (status == LK_OK)
        status = lk_memory_open(NULL, &numbers);
    if (status == LK_OK)
        status = lk_set(db, items, KEYS);
    for (size_t i = 0; i < KEYS && status == LK_OK; i++)
        status = lk_add_at(numbers, &keys[i], 1, 0, &sum);
    for (size_t i = 0; i < JOBS && status == LK_OK; i++)
        status = (results[i] = lk_result_new()) != NULL ? LK_OK : LK_NO_MEMORY;
    if (status == LK_OK && (result = lk_result_new()) == NULL)
        status = LK_NO_MEMORY;
    return status;
}

static void
stores_close(void)
{
    lk_close(fresh);
    lk_close(numbers);
    lk_close(cache);
    lk_close(db);
    lk_result_free(result);
    for (size_t i = 0; i < JOBS; i++)
        lk_result_free(results[i]);
}

static double
own_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One row, once. `ns`: of a unit, where it is fewer than what stands there. */
static lk_status
row_run(const struct row *row, double *ns)
{
    lk_status status = row->prepare == NULL ? LK_OK : row->prepare();

    if (status == LK_OK) {
        double start = own_ns();
        status = row->measured();
        measured_end();
        double each = (own_ns() - start) / (double)row->units;
        *ns = each < *ns ? each : *ns;
    }
    return status;
}

static lk_status
rows_count(void)
{
    lk_status status = LK_OK;
    double ns = 0;

    for (size_t first = 0, end; first < ROWS && status == LK_OK; first = end) {
        for (end = first + 1; end < ROWS && rows[end].follows; end++)
            ;
        for (size_t i = 0; i < ROUNDS * (end - first) && status == LK_OK; i++) {
            const struct row *row = &rows[first + i % (end - first)];
            status = row_run(row, &ns);
            if (i < end - first)
                puts("- 0");
            else
                printf("%s %zu\n", row->name, row->units);
        }
    }
    return status;
}

static lk_status
row_time(const char *name, size_t slices)
{
    lk_status status = LK_OK;
    double best = 1e18, other = 0;
    size_t first = 0, row = 0, end;

    while (row < ROWS && strcmp(rows[row].name, name) != 0)
        row++;
    if (row == ROWS || slices == 0)
        return LK_INVALID;
    for (first = row; rows[first].follows; first--)
        ;
    for (end = row + 1; end < ROWS && rows[end].follows; end++)
        ;
    for (size_t i = 0; i < slices * (end - first) && status == LK_OK; i++) {
        size_t at = first + i % (end - first);
        status = row_run(&rows[at], at == row ? &best : &other);
    }
    printf("%.2f\n", best);
    return status;
}

int
main(int argc, char **argv)
{
    lk_status status;

    if (argc != 1 && argc != 3) {
        fputs("usage: latchkey-instructions [ROW SLICES]\n", stderr);
        return EXIT_FAILURE;
    }
    counted = argc == 1;
    *(void **)&system_clock = dlsym(RTLD_NEXT, "clock_gettime");
    keys_make();
    status = stores_open();
    if (status == LK_OK)
        status = counted ? rows_count() : row_time(argv[1], (size_t)strtoul(argv[2], NULL, 10));
    if (status != LK_OK)
        fprintf(stderr, "latchkey-instructions: %s\n", lk_status_string(status));
    stores_close();
    return status == LK_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
