/* SPDX-License-Identifier: MIT
 *
 * The loops of contenders without loops of their own, which call its functions through its table.
 */
#include "driver/loops.h"

static void
plain_get(struct bench_worker *worker, size_t count)
{
    loop_get(worker, count, worker->contender->get);
}

static void
plain_get_many(struct bench_worker *worker, size_t count)
{
    loop_get_many(worker, count, worker->contender->get, worker->contender->get_many);
}

static void
plain_set50(struct bench_worker *worker, size_t count)
{
    loop_set50(worker, count, worker->contender->get, worker->contender->set);
}

static void
plain_set(struct bench_worker *worker, size_t count)
{
    loop_set(worker, count, worker->contender->set);
}

static const struct bench_loops plain_loops = {plain_get, plain_get_many, plain_set50, plain_set};

bench_loop *
loop_of(const struct bench_contender *contender, enum bench_loop_kind kind)
{
    const struct bench_loops *of = contender->loops != NULL ? contender->loops : &plain_loops;
    bench_loop *const loops[] = {[LOOP_NONE] = NULL,
                                 [LOOP_GET] = of->get,
                                 [LOOP_GET_MANY] = of->get_many,
                                 [LOOP_SET50] = of->set50,
                                 [LOOP_SET] = of->set};

    return loops[kind];
}
