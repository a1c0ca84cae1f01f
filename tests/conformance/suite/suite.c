/* SPDX-License-Identifier: MIT
 *
 * Opens the database for each case, picks the cases that were asked for, and runs them.
 */
#include "suite.h"

enum { CASES_MAX = 512, SCRIPT_BYTES = 1 << 20, BEGIN_MS = 5000 };
#define BEGIN_REALTIME_MS INT64_C(1700000000000)

static const lkc_area *const areas[] = {
    &lkc_handle_area,     &lkc_items_area,       &lkc_items_bad_area,
    &lkc_many_area,       &lkc_query_area,       &lkc_query_threads_area,
    &lkc_stream_area,     &lkc_view_area,        &lkc_locks_area,
    &lkc_set_atomic_area, &lkc_threads_area,

    &lkc_queue_bad_area,  &lkc_wait_area,        &lkc_queue_threads_area,
    &lkc_durable_area,    &lkc_strangers_area,   &lkc_figures_area,
    &lkc_errno_area,      &lkc_job_results_area, &lkc_conditions_threads_area,
    &lkc_whole_area};

/* ---- the database ---- */

static int64_t
realtime(void *context)
{
    rig *r = context;
    return atomic_fetch_add(&r->now_ms, atomic_load(&r->ticks) ? 1 : 0);
}

static int64_t
monotonic(void *context)
{
    return atomic_load(&((rig *)context)->monotonic_ms);
}

/* An adapter that does not use the clocks of the setup fails here, not in each case. */
static bool
rig_begin(rig *r, bool reopen)
{
    r->db = NULL;
    r->setup.reopen = reopen;
    lk_status status = r->adapter->open(r->adapter->context, &r->setup, &r->db);
    if (status != LK_OK || r->db == NULL) {
        print_error("%s does not open: %s\n", r->adapter->name, lk_status_string(status));
        return false;
    }
    r->about = (lk_adapter)LK_ADAPTER_INIT;
    if (lk_adapter_read(r->db, &r->about) != LK_OK)
        return false;
    if (lkc_can(r, LK_HAS_CONDITIONS) || lkc_can(r, LK_HAS_LOCKS))
        r->composed = LKC_CONDITIONS;
    bool counts = (r->about.capabilities & LK_HAS_QUEUES) != 0; /* on the monotonic clock */
    if (lk_realtime_now_ms(r->db) != lkc_now(r) ||
        (counts && lk_monotonic_now_ms(r->db) != atomic_load(&r->monotonic_ms))) {
        print_error("%s does not use the clocks of its setup\n", r->adapter->name);
        return false;
    }
    return true;
}

void
lkc_open(rig *r, bool reopen)
{
    assert_true(rig_begin(r, reopen));
}

void
lkc_close(rig *r)
{
    lk_db *db = r->db;
    r->db = NULL;
    if (db == NULL)
        return;
    if (r->adapter->close != NULL)
        r->adapter->close(r->adapter->context, db);
    else
        lk_close(db);
}

void
lkc_reopen(rig *r)
{
    lkc_close(r);
    lkc_open(r, true);
}

void
lkc_advance(rig *r, int64_t ms)
{
    atomic_fetch_add(&r->now_ms, ms);
    atomic_fetch_add(&r->monotonic_ms, ms);
}

int64_t
lkc_now(rig *r)
{
    return atomic_load(&r->now_ms);
}

bool
lkc_can(const rig *r, uint64_t capabilities)
{
    return ((r->about.capabilities | r->composed) & capabilities) == capabilities;
}

/* ---- one case ---- */

static const lk_conformance *adapter_now;

/* What cmocka hands from setup to teardown. */
typedef struct running {
    const lkc_case *asked;
    rig r;
} running;

static int
case_setup(void **state)
{
    running *run = calloc(1, sizeof *run);
    if (run == NULL)
        return -1;
    run->asked = *state;
    rig *r = &run->r;
    r->adapter = adapter_now;
    atomic_store(&r->now_ms, BEGIN_REALTIME_MS);
    atomic_store(&r->monotonic_ms, BEGIN_MS);
    r->setup = (lk_conformance_setup){.realtime_ms = realtime,
                                      .monotonic_ms = monotonic,
                                      .clock_context = r,
                                      .lock_ttl_ms = LK_HOURS(TTL_HOURS),
                                      .lock_refresh_ms = LK_HOURS(REFRESH_HOURS)};
    r->result = lk_result_new();
    if (r->result == NULL || !rig_begin(r, false)) {
        lk_result_free(r->result);
        free(run);
        return -1;
    }
    *state = run;
    return 0;
}

static int
case_teardown(void **state)
{
    running *run = *state;
    lkc_close(&run->r);
    lk_result_free(run->r.result);
    free(run);
    return 0;
}

static void
case_run(void **state)
{
    running *run = *state;
    const lkc_case *asked = run->asked;
    uint64_t all = run->r.about.capabilities | run->r.composed;
    if (!lkc_can(&run->r, asked->needs) || (all & asked->lacks) != 0)
        skip();
    if (asked->script != NULL)
        lkc_script_run(&run->r, asked);
    else
        asked->run(&run->r);
}

/* ---- all of them ---- */

static bool
is_asked(const char *name, int argc, char **argv)
{
    bool all = true;
    for (int i = 1; i < argc; i++) {
        size_t size = strlen(argv[i]);
        if (strcmp(argv[i], "--list") == 0)
            continue;
        all = false;
        if (size != 0 && argv[i][size - 1] == '*' ? strncmp(name, argv[i], size - 1) == 0
                                                  : strcmp(name, argv[i]) == 0)
            return true;
    }
    return all;
}

static bool
lists(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--list") == 0)
            return true;
    return false;
}

static lkc_case script_cases[CASES_MAX]; /* of all scripts */
static size_t script_case_count;

static void
script_add(const lkc_script *script)
{
    script_case_count +=
        lkc_script_cases(script, script_cases + script_case_count, CASES_MAX - script_case_count);
}

/* An argument that ends in .script is a file of somebody's own cases. */
static void
file_add(const char *name)
{
    static const char ending[] = ".script";
    size_t size = strlen(name), end = sizeof ending - 1;
    if (size <= end || strcmp(name + size - end, ending) != 0)
        return;
    for (size_t i = 0; i < lkc_script_count; i++)
        if (strcmp(name, lkc_scripts[i].name) == 0)
            return; /* one of the suite's */
    lkc_script *script = calloc(1, sizeof *script);
    FILE *file = fopen(name, "r");
    char *text = script != NULL && file != NULL ? calloc(1, SCRIPT_BYTES) : NULL;
    if (text == NULL) {
        fprintf(stderr, "%s cannot be read\n", name);
        exit(2);
    }
    *script = (lkc_script){name, text, fread(text, 1, SCRIPT_BYTES, file)};
    fclose(file);
    script_add(script);
}

/* Those of `cases` that are asked for, by their names or by that of their script, behind the first
 * `count` tests. */
static size_t
tests_add(struct CMUnitTest *tests, size_t count, const lkc_case *cases, size_t case_count,
          int argc, char **argv)
{
    for (size_t i = 0; i < case_count && count < CASES_MAX; i++) {
        const lkc_case *one = &cases[i];
        if (is_asked(one->name, argc, argv) ||
            (one->script != NULL && is_asked(one->script->name, argc, argv)))
            tests[count++] = (struct CMUnitTest){one->name, case_run, case_setup, case_teardown,
                                                 (void *)(uintptr_t)one};
    }
    return count;
}

int
lk_conformance_main(const lk_conformance *adapter, int argc, char **argv)
{
    struct CMUnitTest tests[CASES_MAX];
    size_t count = 0;
    memset(tests, 0, sizeof tests);
    for (size_t i = 0; i < lkc_script_count && adapter_now == NULL; i++)
        script_add(&lkc_scripts[i]);
    for (int i = 1; i < argc && adapter_now == NULL; i++)
        file_add(argv[i]);
    adapter_now = adapter;
    for (size_t i = 0; i < COUNT(areas); i++)
        count = tests_add(tests, count, areas[i]->cases, areas[i]->count, argc, argv);
    count = tests_add(tests, count, script_cases, script_case_count, argc, argv);
    for (size_t i = 0; i < count && lists(argc, argv); i++)
        printf("%s\n", tests[i].name);
    if (lists(argc, argv))
        return 0;
    if (count == 0 || count == CASES_MAX) {
        fprintf(stderr, "%zu cases were asked for\n", count);
        return 2;
    }
    return cmocka_run_group_tests_name(adapter->name, tests, NULL, NULL) == 0 ? 0 : 1;
}
