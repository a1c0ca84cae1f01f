/* SPDX-License-Identifier: MIT
 *
 * A record that was written and read says the same, to the last byte; what is no record is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/record.h"

static char first[] = "/tmp/latchkey-bench-XXXXXX";
static char second[] = "/tmp/latchkey-bench-XXXXXX";

#define TEXT(array, text) snprintf(array, sizeof(array), "%s", text)

/* A row whose repeats have the rates `rate`, + 1, + 2 ... */
static struct record_row *
row_add(struct record *record, const char *workload, double rate, unsigned repeats)
{
    struct record_row *row = record_row(record, workload, "latchkey", 3);

    row->planned = row->repeats = repeats;
    for (unsigned i = 0; i < repeats; i++) {
        row->rates[i] = rate + i + 1.0 / 3;
        row->latencies[i] =
            (struct record_latency){100 + i, 1000 + i, 10000 + i, UINT64_C(12345678901) + i};
        for (unsigned j = 0; j < row->threads; j++)
            row->operations[i][j] = 1000 * (i + 1) + j;
    }
    record_summarise(row, 2);
    return row;
}

static void
record_fill(struct record *record)
{
    memset(record, 0, sizeof *record);
    TEXT(record->date, "2024-02-29T12:00:00Z");
    TEXT(record->command, "latchkey-bench --workload 'a \"b\" \\ \t'");
    record->machine = (struct record_machine){.processors = 2, .memory_bytes = UINT64_C(1) << 40};
    TEXT(record->machine.processor, "processor");
    TEXT(record->machine.commit, "0123456789ab-dirty");
    record->machine.load_average = 0.25;
    record->options = (struct record_options){.duration_s = 0.1, .repeats = 4, .keys = 1000};
    record->options.seed = (UINT64_C(1) << 53) - 1;
    record->elapsed_s = 1.0 / 3;
    record->targets_met = 1;
    record->partial = true;
    struct record_workload *workload = record_workload(record, "get");
    TEXT(workload->unit, "M ops/s");
    TEXT(workload->distribution, "zipf 0.99");
    workload->scale = 1e6;
    struct record_row *row = row_add(record, "get", 5e6, 4);
    for (uint64_t value = 1; value < UINT64_C(1) << 36; value += value / 3 + 1)
        histogram_add_many(&row->latency, value, value % 7);
    row->races = 17;
    row->late = 3;
    row->transacts = row->partial = true;
    TEXT(row->fault, "\xc3\xa4 fault");
    row->target_count = 1;
    TEXT(row->targets[0].text, "1.15 x");
    row->targets[0].outcome = REPORT_MISSED;
    record_row_figure(row, "resident", "bytes/item", 229.5);
    record_row_figure(row, "resident", "bytes/item", 230.5);
    record_row_figure(row, "other", "", -1e-9);
    record_row_figure(row, "latch waits", "", 0.25)->contention = true;
    row->attempts[0] = 100;
    row->attempts[5] = 1;
    row->raced_keys = 34;
    row->hot_count = 2;
    TEXT(row->hot[0].key, "a/\xc3\xa4 \"key\"");
    row->hot[0].least = 1.0 / 3;
    row->hot[0].most = 0.5;
    TEXT(row->hot[1].key, "b");
    row_add(record, "set", 1, 1);
}

static char *
file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void
file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void
test_record_written_and_read_is_the_same(void **state)
{
    struct record record, again;

    (void)state;
    record_fill(&record);
    assert_true(report_json(&record, first));
    assert_true(record_read(&again, first));
    assert_true(report_json(&again, second));
    char *before = file_text(first), *after = file_text(second);
    assert_string_equal(before, after);
    free(before);
    free(after);

    const struct record_row *row = record_row_find(&again, "get", "latchkey", 3, "zipf 0.99");
    assert_non_null(row);
    assert_memory_equal(&row->latency, &record.rows[0]->latency, sizeof row->latency);
    assert_memory_equal(row->rates, record.rows[0]->rates, sizeof row->rates);
    assert_memory_equal(row->operations, record.rows[0]->operations, sizeof row->operations);
    assert_int_equal(row->figure_count, 3);
    assert_true(row->figures[0].value == 230.5 && !row->figures[0].contention);
    assert_true(row->figures[2].contention);
    assert_memory_equal(row->attempts, record.rows[0]->attempts, sizeof row->attempts);
    assert_int_equal(row->raced_keys, 34);
    assert_int_equal(row->hot_count, 2);
    assert_string_equal(row->hot[0].key, record.rows[0]->hot[0].key);
    assert_true(row->hot[0].least == 1.0 / 3 && row->hot[0].most == 0.5);
    assert_string_equal(row->fault, record.rows[0]->fault);
    assert_string_equal(again.command, record.command);
    assert_true(again.options.seed == record.options.seed);
    assert_true(row->crowded);
    record_close(&record);
    record_close(&again);
}

/* Each of them differs in the last bits from what 15 digits say, or has none beyond it. */
static void
test_record_reals_to_the_last_bit(void **state)
{
    static const double reals[] = {DBL_MAX, 0x1p53, 0.1 + DBL_EPSILON / 16, DBL_TRUE_MIN};
    struct record record, again;

    (void)state;
    record_fill(&record);
    memcpy(record.rows[0]->rates, reals, sizeof reals);
    record.rows[0]->figures[0].value = 0x1p53 + 2;
    assert_true(report_json(&record, first));
    assert_true(record_read(&again, first));
    assert_memory_equal(again.rows[0]->rates, reals, sizeof reals);
    assert_true(again.rows[0]->figures[0].value == 0x1p53 + 2);
    record_close(&record);
    record_close(&again);
}

/* What is read may be anything. */
static void
test_record_file_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"",  "{",  "[]",
                                      "7", "{}", "{\"format\": \"latchkey-bench 0\"}"};
    struct record record;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        file_write(first, bad[i]);
        assert_false(record_read(&record, first));
        assert_int_equal(record.row_count, 0);
    }
    assert_false(record_read(&record, "/nonexistent/file"));
}

static void
test_record_numbers_out_of_range_are_cut(void **state)
{
    struct record record;
    char text[8192];
    size_t used = 0;

    (void)state;
    used += (size_t)snprintf(text, sizeof text,
                             "{\"format\": \"%s\", \"machine\": 3, \"rows\": [7, {\"workload\": "
                             "\"w\", \"threads\": 1e30, \"planned\": -1, \"ratio\": 1e999, "
                             "\"figures\": 5, "
                             "\"hot_keys\": [1, 2, 3, 4, 5, 6, 7, 8, 9], "
                             "\"attempts\": [1, -1, 1e99, \"x\", 5, 6, 7, 8], "
                             "\"targets\": [1, 2, 3, 4, 5], \"latency\": {\"buckets\": [[1], "
                             "[-1, 1], [1e300, 1], [\"x\", 2], 9]}, \"repeats\": [",
                             RECORD_FORMAT);
    for (unsigned i = 0; i < RECORD_REPEATS_MAX + 5; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s{\"rate\": %u}",
                                 i > 0 ? ", " : "", i);
    snprintf(text + used, sizeof text - used, "]}]}");
    file_write(first, text);
    assert_true(record_read(&record, first));
    assert_int_equal(record.row_count, 2);
    const struct record_row *row = record.rows[1];
    assert_int_equal(row->threads, RECORD_THREADS_MAX);
    assert_true(row->ratio == 0);
    assert_int_equal(row->repeats, RECORD_REPEATS_MAX);
    assert_int_equal(row->target_count, RECORD_TARGETS_MAX);
    assert_int_equal(row->hot_count, RECORD_HOT_MAX);
    assert_int_equal(row->attempts[1], 0);
    assert_int_equal(row->attempts[5], 6);
    assert_int_equal(row->latency.total, 2);
    record_close(&record);
}

static int
files_make(void **state)
{
    int one = mkstemp(first), other = mkstemp(second);

    (void)state;
    if (one >= 0)
        close(one);
    if (other >= 0)
        close(other);
    return one < 0 || other < 0;
}

static int
files_remove(void **state)
{
    (void)state;
    unlink(first);
    unlink(second);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_written_and_read_is_the_same),
        cmocka_unit_test(test_record_reals_to_the_last_bit),
        cmocka_unit_test(test_record_file_that_is_none_is_refused),
        cmocka_unit_test(test_record_numbers_out_of_range_are_cut),
    };

    return cmocka_run_group_tests(tests, files_make, files_remove);
}
