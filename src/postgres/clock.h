/* SPDX-License-Identifier: MIT
 *
 * The times that the adapter reckons with, and waiting by them; see postgres.h.
 */
#ifndef LKI_PG_CLOCK_H
#define LKI_PG_CLOCK_H

#include "postgres/state.h"

/* The system's monotonic clock: for what this machine waits for. */
int64_t lki_pg_clock_ms(void);
int64_t lki_pg_clock_us(void);
/* A condition that is waited for by that clock. */
void lki_pg_cond_init(pthread_cond_t *cond);
/* Waits for it; false: until then nothing came. */
bool lki_pg_cond_wait(pthread_cond_t *cond, pthread_mutex_t *latch, int64_t until_ms);
/* How far this machine's own time is ahead of that clock: it jumps when somebody sets it, and when
 * the machine was suspended. */
int64_t lki_pg_clock_own_ahead_ms(void);
/* The time of the call that this thread makes begins: all that it waits for ends with it, however
 * often it asks. See lki_pg_call_begin. */
void lki_pg_time_begin(const lki_pg *store);
/* When that call gives up, by that clock. */
int64_t lki_pg_until_ms(void);

/* What expiry is judged by: Unix time, the server's. */
int64_t lki_pg_now_ms(const lki_pg *store);
/* The handle's monotonic clock, as callers know it. */
int64_t lki_pg_monotonic_ms(const lki_pg *store);

/* Job time, which deadlines and delays are reckoned with: the server's, too, unless the options
 * have clocks. */
int64_t lki_pg_job_now_ms(const lki_pg *store);
/* Job time, as the handle's monotonic clock says it. */
int64_t lki_pg_job_as_monotonic(const lki_pg *store, int64_t job_ms);
/* A deadline or delay from now, so that the millisecond behind it is not the last one. */
int64_t lki_pg_time_after(int64_t now_ms, int64_t ms);

#endif
