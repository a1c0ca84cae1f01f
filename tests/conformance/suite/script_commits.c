/* SPDX-License-Identifier: MIT
 *
 * The verbs of scripts for locks and commits. See scripts/README.md.
 */
#include "script.h"

/* ---- locks ---- */

/* lk_get_locked gives the same lock, beside what a get says. */
static void
get_locked_check(script_run *run, const lk_lock *lock)
{
    rig *r = run->r;
    lk_lock same;
    if (!lkc_can(r, LK_HAS_GET_MANY))
        return;
    lk_status there = lk_get(r->db, lock->key, r->result);
    if (lk_get_locked(r->db, &lock->key, 1, &same, r->result) != LK_OK ||
        memcmp(&same, lock, sizeof same) != 0 || lk_result_count(r->result) != 1 ||
        (lk_result_item(r->result, 0) != NULL) != (there == LK_OK))
        lkc_script_fail(run, "lk_get_locked says something else");
}

/* `newer @k`, `same @k`; `until +1d`. */
static void
lock_check(script_run *run, const lk_lock *lock, uint64_t than, span wanted)
{
    bool newer = true;
    while (wanted.count != 0) {
        span part = lkc_span_cut(&wanted, ',');
        const word *what = lkc_word(run, part, 0);
        if (lkc_word_is(what, "same"))
            newer = false;
        else if (lkc_word_is(what, "until") &&
                 lkc_moment(run, (span){part.words + 1, part.count - 1}) != lock->expires_at_ms)
            lkc_script_fail(run, "its end is in %lld ms",
                            (long long)(lock->expires_at_ms - lkc_now(run->r)));
        else if (!lkc_word_is(what, "until") && !lkc_word_is(what, "newer"))
            lkc_script_fail(run, "a lock is `same`, `newer`, and there `until`");
    }
    if (newer ? lock->version <= than : lock->version != than)
        lkc_script_fail(run, "version %llu, beside %llu", (unsigned long long)lock->version,
                        (unsigned long long)than);
}

/* `lock PK SK @l -> newer @k, until T` or `same @k` */
static void
lock_run(script_run *run, span words, span wanted)
{
    lk_key key = {lkc_word(run, words, 0)->bytes, lkc_word(run, words, 1)->bytes};
    uint64_t than = 0;
    if (wanted.count > 1 && wanted.words[1].at == 0)
        than = lkc_named(run, &wanted.words[1])->lock.version;
    named *n = lkc_name(run, lkc_word_name(lkc_word(run, words, 2)), key);
    lk_lock lock;
    lkc_fill(&lock, sizeof lock);
    lkc_status_check(run, LK_OK, lk_get_lock(run->r->db, n->claim.key, &lock));
    if (lock.key.pk.data != n->claim.key.pk.data || lock.key.sk.data != n->claim.key.sk.data ||
        lock.expires_at_ms < lkc_now(run->r))
        lkc_script_fail(run, "it has another key, or has lapsed");
    lock_check(run, &lock, than, wanted);
    get_locked_check(run, &lock);
    n->lock = lock;
}

/* ---- commits ---- */

/* `put PK ITEM`, `delete PK SK`, `push Q ITEM`, `ack @j`; the first two may have `until`. */
lk_write
lkc_input_write(script_run *run, span words)
{
    lk_write write = {.kind = LK_PUT};
    span part = lkc_span_cut(&words, ',');
    const word *kind = lkc_word(run, part, 0);
    span rest = {part.words + 1, part.count - 1};
    if (lkc_word_is(kind, "ack")) {
        write.kind = LK_ACKNOWLEDGE;
        write.claim = lkc_input_claim(run, rest);
        return write;
    }
    if (lkc_word_is(kind, "delete"))
        write.kind = LK_DELETE;
    else if (lkc_word_is(kind, "push"))
        write.kind = LK_PUSH;
    else if (!lkc_word_is(kind, "put"))
        lkc_script_fail(run, "a write is a put, delete, push or ack");
    write.item = lkc_input_item(run, lkc_word(run, rest, 0), lkc_word(run, rest, 1));
    if (words.count != 0 && lkc_word_is(words.words, "until"))
        write.item.expires_at_ms = lkc_moment(run, (span){words.words + 1, words.count - 1});
    return write;
}

/* What became of the locks and the conflict of a commit. */
static void
locks_check(script_run *run, lk_status status, span names, const lk_lock *locks, span wanted,
            const lk_conflict *conflict)
{
    for (size_t i = 0; i < names.count; i++) {
        named *n = lkc_named(run, &names.words[i]);
        bool done = status == LK_OK || status == LK_LATE;
        if (done && locks[i].version != 0 && locks[i].version <= n->lock.version)
            lkc_script_fail(run, "the version of lock %zu does not grow", i + 1);
        if (!done && memcmp(&locks[i], &n->lock, sizeof locks[i]) != 0)
            lkc_script_fail(run, "lock %zu is another one", i + 1);
        n->lock = locks[i];
    }
    if (status != LK_RACE) {
        if (!lkc_is_filled(conflict, sizeof *conflict))
            lkc_script_fail(run, "the conflict is another one");
        return;
    }
    size_t index = 0;
    while (index < names.count && wanted.count != 0 &&
           !lkc_equal(names.words[index].bytes, wanted.words->bytes))
        index++;
    if (wanted.count == 0 || conflict->index != index)
        lkc_script_fail(run, "lock %zu is stale", conflict->index + 1);
    if (wanted.count > 1 && conflict->current_version != lkc_word_number(run, &wanted.words[1]))
        lkc_script_fail(run, "its version is %llu", (unsigned long long)conflict->current_version);
}

/* Puts alone, under locks: by lk_set_atomic; in the second run by lk_commit. */
static lk_status
commit_make(script_run *run, const lk_write *writes, size_t count, lk_lock *locks,
            size_t lock_count, lk_conflict *conflict)
{
    bool puts = lock_count != 0 && !run->by_commits;
    lk_item *items = lkc_input_room(run, (count + 1) * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i] = writes[i].item;
        puts = puts && writes[i].kind == LK_PUT;
    }
    if (puts)
        return lk_set_atomic(run->r->db, items, count, locks, lock_count, conflict);
    return lk_commit(run->r->db, writes, count, lock_count != 0 ? locks : NULL, lock_count,
                     conflict);
}

/* A lock whose key was deleted is 0. */
static void
deletes_check(script_run *run, const lk_write *writes, size_t count, const lk_lock *locks,
              size_t lock_count)
{
    for (size_t i = 0; i < lock_count; i++)
        for (size_t j = 0; j < count; j++)
            if (writes[j].kind == LK_DELETE && lkc_equal(writes[j].item.key.pk, locks[i].key.pk) &&
                lkc_equal(writes[j].item.key.sk, locks[i].key.sk) && locks[i].version != 0)
                lkc_script_fail(run, "lock %zu is of a key that was deleted", i + 1);
}

/* `commit WRITE; WRITE; with @l @m -> STATUS`; of a race: `RACE @m VERSION`. */
static void
commit_run(script_run *run, span words, span wanted)
{
    lk_write *writes = lkc_input_room(run, (words.count + 1) * sizeof *writes);
    size_t count = 0;
    span names = {NULL, 0};
    while (words.count != 0) {
        span part = lkc_span_cut(&words, ';');
        if (lkc_word_is(lkc_word(run, part, 0), "with"))
            names = (span){part.words + 1, part.count - 1};
        else
            writes[count++] = lkc_input_write(run, part);
    }
    lk_lock *locks = lkc_input_room(run, (names.count + 1) * sizeof *locks);
    for (size_t i = 0; i < names.count; i++)
        locks[i] = lkc_named(run, &names.words[i])->lock;
    lk_conflict conflict;
    lkc_fill(&conflict, sizeof conflict);
    lk_status status = lkc_wanted_status(&wanted);
    lkc_prime(run->r->result);
    lkc_status_check(run, status, commit_make(run, writes, count, locks, names.count, &conflict));
    if (status == LK_OK)
        deletes_check(run, writes, count, locks, names.count);
    locks_check(run, status, names, locks, wanted, &conflict);
}

const verb lkc_commit_verbs[] = {{"lock", lock_run}, {"commit", commit_run}, {NULL, NULL}};
