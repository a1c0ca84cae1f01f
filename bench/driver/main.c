/* SPDX-License-Identifier: MIT
 *
 * latchkey-bench: its commands. What a run does follows in plan.c, a comparison in compare.c.
 */
#include "driver/measured.h"
#include "driver/options.h"
#include "driver/plan.h"
#include "driver/workload.h"
#include "record/compare.h"
#include "record/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
list_print(void)
{
    printf("workloads\n");
    for (size_t i = 0; i < bench_workload_count; i++)
        printf("  %-18s %s%s%s%s\n", bench_workloads[i]->name, bench_workloads[i]->what,
               bench_workloads[i]->distribution != NULL ? "; " : "",
               bench_workloads[i]->distribution != NULL ? bench_workloads[i]->distribution : "",
               bench_workloads[i]->on_request ? "; only when named" : "");
    printf("contenders\n");
    for (size_t i = 0; i < bench_contender_count; i++)
        printf("  %-18s %s\n", bench_contenders[i]->name, bench_contenders[i]->what);
}

/* The page of a saved record. */
static int
report_file(const char *path)
{
    const char *html = bench_options.html != NULL ? bench_options.html : "report.html";
    struct record record, baseline;

    if (!record_read(&record, path))
        return STATUS_USAGE;
    bool good = true;
    if (bench_options.baseline != NULL) {
        good = record_read(&baseline, bench_options.baseline);
        if (good) {
            snprintf(record.baseline, sizeof record.baseline, "%s", bench_options.baseline);
            compare_records(&record, &baseline);
        }
        record_close(&baseline);
    }
    good = good && report_html(&record, html);
    if (good)
        printf("report: %s\n", html);
    record_close(&record);
    return good ? STATUS_OK : STATUS_USAGE;
}

/* bench/run holds a lock until this program has begun: a descriptor, named in the environment. */
static void
lock_release(void)
{
    const char *text = getenv("LATCHKEY_BENCH_LOCK");
    int descriptor = text != NULL ? atoi(text) : -1;

    if (descriptor > STDERR_FILENO)
        close(descriptor);
}

int
main(int argc, char **argv)
{
    lock_release();
    setvbuf(stdout, NULL, _IOLBF, 0);
    options_parse(argc, argv);
    switch (bench_options.command) {
    case BENCH_LIST:
        list_print();
        return STATUS_OK;
    case BENCH_COMPARE:
        return compare_files(bench_options.compared[0], bench_options.compared[1],
                             bench_options.worse_most);
    case BENCH_REPORT:
        return report_file(bench_options.compared[0]);
    case BENCH_RUN:
    default:
        bench_interrupt_begin();
        record_begin(&record_current, argc, argv);
        return plan_run();
    }
}
