/* SPDX-License-Identifier: MIT
 *
 * The queue room: what may happen to a job, and when. The README beside this file has the life of a
 * job; where jobs lie is queue/queue.h, how their states change queue/job.h.
 *
 *   push.c    jobs come
 *   pull.c    jobs are claimed, and waited for
 *   due.c     time passes: lapses, delays, expiry
 *   later.c   time passes for headed jobs
 *   claim.c   acknowledge, release, extend
 *   commit.c  pushes and acknowledgements as steps of a commit; dead letters
 *   manage.c  statistics, purge, close, descriptor
 *
 * Called by memory_db.c, with checked arguments, outside of sections.
 */
#ifndef LKI_QUEUE_CALLS_H
#define LKI_QUEUE_CALLS_H

#include "base/result.h"
#include "queue/job.h"

/* ---- the calls ---- */

lk_status lki_queue_push(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                         const lk_push_options *options, lk_result *pushed);
lk_status lki_queue_pull(lki_store *store, lki_thread *thread, const lk_pull_options *options,
                         lk_result *result);
lk_status lki_queue_acknowledge(lki_store *store, lki_thread *thread, const lk_claim *claims,
                                size_t count);
lk_status lki_queue_release(lki_store *store, lki_thread *thread, const lk_claim *claim,
                            int64_t delay_ms);
lk_status lki_queue_extend(lki_store *store, lki_thread *thread, lk_claim *claim,
                           int64_t visibility_ms);
lk_status lki_queue_stats(lki_store *store, lki_thread *thread, lk_bytes pk,
                          lk_queue_statistics *stats);
lk_status lki_queue_purge(lki_store *store, lki_thread *thread, lk_bytes pk, size_t *purged);
lk_status lki_queue_close(lki_store *store, lki_thread *thread, lk_bytes pk);
lk_status lki_queue_fd(lki_store *store, lki_thread *thread, lk_bytes pk, int *fd);
/* lki_store_commit, where some writes are pushes or acknowledgements. */
lk_status lki_queue_commit(lki_store *store, lki_thread *thread, const lk_write *writes,
                           size_t count, lk_lock *locks, size_t lock_count, lk_conflict *conflict);

/* ---- shared by the files of the room ---- */

/* The time as of the last tick; the precise one where that matters. */
typedef struct lki_ticks {
    uint64_t now;
    bool precise;
} lki_ticks;

LKI_INLINE lki_ticks
lki_ticks_read(const lki_store *store)
{
    return (lki_ticks){lki_tick(store), store->monotonic_precise_ms == NULL};
}

/* Has `time` passed? */
LKI_INLINE bool
lki_ticks_past(const lki_store *store, lki_ticks *ticks, uint64_t time)
{
    if (LKI_UNLIKELY(!ticks->precise && ticks->now <= time &&
                     time < ticks->now + LKI_COARSE_LAG_MS))
        *ticks = (lki_ticks){lki_tick_precise(store), true};
    return time < ticks->now;
}

/* When `ms` from now will have passed; never earlier. */
uint64_t lki_ticks_after(const lki_store *store, lki_ticks *ticks, int64_t ms);

/* Is the item of a job there, and not expired? */
LKI_INLINE bool
lki_job_is_live(const lki_store *store, const lki_found_job *job)
{
    lki_time now = {0, false, false};
    return job->state.phase != LKI_NO_JOB && lki_record_is_live(store, job->record, &now);
}

/* Is it this claim's job, and still its? LK_OK, LK_LATE: its deadline has passed, LK_LOST. Token 0: any
 * job, never late. */
LKI_INLINE lk_status
lki_claim_judge(const lki_store *store, const lki_found_job *job, uint64_t token, lki_ticks *ticks)
{
    bool claimed = job->state.phase == LKI_CLAIMED || job->state.phase == LKI_LAPSED;
    if ((token != 0 && !(claimed && job->state.token == token)) || !lki_job_is_live(store, job))
        return LK_LOST;
    return token != 0 && lki_ticks_past(store, ticks, job->state.time) ? LK_LATE : LK_OK;
}

/* How far a look for what is due has come. */
typedef struct lki_notice {
    bool more;                        /* it has left something */
    bool placed;                      /* jobs with places, which do not come before `last` */
    unsigned char last[LK_ULID_SIZE]; /* the last one of these that it has noticed */
    lk_bytes
        headed; /* the first headed one that it has left; data NULL: none. Valid in the section */
} lki_notice;
/* due.c: notices what is due, a part of it: up to 64 jobs of either kind (one, if there are ready entries),
 * or `least` if that is more, or as many as different times had to be looked at. LK_OK,
 * LK_NO_MEMORY. Caller: in a write section. */
lk_status lki_due_notice(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks,
                         size_t least, lki_notice *notice);
/* later.c: its part of headed jobs. */
lk_status lki_later_notice(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks,
                           size_t least, lki_notice *notice);
/* When there may be something to notice; LKI_TIME_MAX: not by time alone. */
uint64_t lki_due_next(lki_queue *queue);
/* Takes out what has expired of the jobs with places, a little at a time. Caller: in a write section. */
void lki_due_expire(lki_store *store, lki_thread *thread, lki_queue *queue);
/* What has expired does not count against max_depth: takes some of it out, of all kinds of jobs, the more
 * the more `jobs` are to come. A push that is refused all the same has brought the next one nearer. Caller:
 * in a write section. */
void lki_due_make_room(lki_store *store, lki_thread *thread, lki_queue *queue, size_t jobs);
/* The same for the next queue in turn, or for all of them: how many jobs. Caller: outside of
 * sections. */
size_t lki_queues_tend(lki_store *store, lki_thread *thread, bool all);

/* pull.c: sets the descriptor to what it has to say. Caller: in a write section. */
void lki_queue_refresh(lki_store *store, lki_thread *thread, lki_queue *queue);
/* The same for all queues that the thread's call has noted. Caller: outside of sections, or in a read
 * pair. */
void lki_queues_refresh(lki_store *store, lki_thread *thread);

/* commit.c: moves a job to another queue in one step. LK_OK; LK_LOST: its state has changed. */
lk_status lki_job_move(lki_store *store, lki_thread *thread, const lki_found_job *job,
                       lk_bytes to_pk);
/* Takes a job out that is in this state, whatever it is. LK_OK; LK_LOST. Caller: in a write
 * section. */
lk_status lki_job_remove(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job);
/* A push of jobs of which some have an sk, as one commit. */
lk_status lki_push_commit(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                          const lk_push_options *options, lk_result *pushed);

#endif
