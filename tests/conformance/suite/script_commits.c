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

/* `absent PK SK @l`: lk_get_locked finds neither a lock nor an item, and makes none. */
static void
absent_run(script_run *run, span words, span wanted)
{
    lk_key key = {lkc_word(run, words, 0)->bytes, lkc_word(run, words, 1)->bytes};
    named *n = lkc_name(run, lkc_word_name(lkc_word(run, words, 2)), key);
    (void)wanted;
    for (int turn = 0; turn < 2; turn++) {
        lkc_fill(&n->lock, sizeof n->lock);
        lkc_prime(run->r->result);
        if (lk_get_locked(run->r->db, &n->claim.key, 1, &n->lock, run->r->result) != LK_OK)
            lkc_script_fail(run, "lk_get_locked says something else");
        if (n->lock.version != 0 || n->lock.key.pk.data != n->claim.key.pk.data ||
            lk_result_count(run->r->result) != 1 || lk_result_item(run->r->result, 0) != NULL)
            lkc_script_fail(run, "a lock, or an item, is there");
    }
}

/* ---- commits ---- */

static const struct {
    const char *name;
    lk_write_kind kind;
    size_t words; /* behind the kind */
} kinds[] = {{"put", LK_PUT, 2},        {"delete", LK_DELETE, 2}, {"push", LK_PUSH, 2},
             {"touch", LK_TOUCH, 2},    {"add", LK_ADD, 3},       {"ack", LK_ACKNOWLEDGE, 1},
             {"release", LK_RELEASE, 1}};

/* `if absent`, `if present`, `if equal DATA`. */
static void
condition_read(script_run *run, span words, lk_write *write)
{
    static const char *const names[] = {"always", "absent", "present", "equal"};
    size_t i = 0;
    while (i < COUNT(names) && !lkc_word_is(lkc_word(run, words, 0), names[i]))
        i++;
    if (i == COUNT(names))
        lkc_script_fail(run, "a condition is absent, present or equal");
    write->condition = (lk_condition)i;
    if (write->condition == LK_IF_EQUAL)
        write->expected = lkc_input(run, lkc_word(run, words, 1)->bytes);
}

lk_write
lkc_input_write(script_run *run, span words)
{
    span part = lkc_span_cut(&words, ',');
    size_t i = 0;
    while (i < COUNT(kinds) && !lkc_word_is(lkc_word(run, part, 0), kinds[i].name))
        i++;
    if (i == COUNT(kinds))
        lkc_script_fail(run, "there is no such write");
    lk_write write = {.kind = kinds[i].kind};
    (void)lkc_word(run, part, kinds[i].words);
    span rest = {part.words + 1, part.count - 1};
    if (kinds[i].words == 1)
        write.claim = lkc_input_claim(run, rest);
    else
        write.item = lkc_input_item(run, &rest.words[0], &rest.words[1]);
    if (write.kind == LK_ADD)
        write.delta = lkc_word_signed(run, &rest.words[2]);
    lk_push_options options = LK_PUSH_OPTIONS_INIT;
    span condition = {NULL, 0};
    lkc_options_read(run, words,
                     (const option[]){{"until", OPTION_MOMENT, &write.item.expires_at_ms},
                                      {"if", OPTION_WORDS, &condition},
                                      {"delay", OPTION_DURATION, &options.delay_ms},
                                      {"depth", OPTION_NUMBER, &options.max_depth},
                                      {"unique", OPTION_FLAG, &options.unique},
                                      {NULL, OPTION_FLAG, NULL}});
    if (condition.count != 0)
        condition_read(run, condition, &write);
    write.delay_ms = write.kind == LK_RELEASE ? options.delay_ms : 0;
    if (write.kind == LK_PUSH)
        write.push = lkc_input_push_options(run, &options);
    return write;
}

/* What became of the locks of a commit. */
static void
locks_check(script_run *run, lk_status status, span names, const lk_lock *locks)
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
}

/* Does the handle say which write was refused with that? */
static bool
tells_write(script_run *run, lk_status status)
{
    if (status == LK_LOST || status == LK_CLOSED || status == LK_BUSY)
        return lkc_can(run->r, LK_COMMITS_RELEASES);
    return (status == LK_EXISTS || status == LK_NOT_FOUND) && lkc_can(run->r, LKC_CONDITIONS);
}

/* Of a commit that ended so: the lock that is wanted, or `write N`. */
static void
conflict_check(script_run *run, lk_status status, span wanted, span names,
               const lk_conflict *conflict)
{
    bool by_write = wanted.count != 0 && lkc_word_is(wanted.words, "write");
    if (by_write || (wanted.count == 0 && tells_write(run, status))) {
        if (conflict->index != SIZE_MAX || conflict->current_version != 0 ||
            conflict->write >= LK_COMMIT_MAX)
            lkc_script_fail(run, "the conflict tells of no write");
        if (by_write && conflict->write != lkc_word_number(run, lkc_word(run, wanted, 1)))
            lkc_script_fail(run, "write %zu was refused", conflict->write);
        return;
    }
    bool refused = (status > LK_OK && status != LK_LATE) || status == LK_BUSY;
    if (!refused && !lkc_is_filled(conflict, sizeof *conflict))
        lkc_script_fail(run, "the conflict is another one");
    if (status != LK_RACE)
        return;
    size_t index = 0;
    while (index < names.count && wanted.count != 0 &&
           !lkc_equal(names.words[index].bytes, wanted.words->bytes))
        index++;
    if (wanted.count == 0 || conflict->index != index)
        lkc_script_fail(run, "lock %zu is stale", conflict->index + 1);
    /* An adapter without conditions of its own need not know of writes that are refused. */
    if (lkc_can(run->r, LK_HAS_CONDITIONS) && conflict->write != SIZE_MAX)
        lkc_script_fail(run, "write %zu was refused", conflict->write);
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
        puts = puts && writes[i].kind == LK_PUT && writes[i].condition == LK_ALWAYS;
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

/* `commit WRITE; WRITE; with @l @m -> STATUS`; of a stale lock: `RACE @m VERSION`; of a write:
 * `EXISTS write 1`. */
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
    locks_check(run, status, names, locks);
    conflict_check(run, status, wanted, names, &conflict);
}

/* ---- conditional writes, touch, add ---- */

/* The live item of a key, in memory of its own; NULL data: none. */
static lk_item
item_keep(script_run *run, lk_key key)
{
    lk_item kept = {.key = key};
    if (lk_get(run->r->db, key, run->r->result) != LK_OK)
        return kept;
    const lk_item *item = lk_result_item(run->r->result, 0);
    kept.data = lkc_input(run, item->data);
    kept.expires_at_ms = item->expires_at_ms;
    return kept;
}

/* A write of its own call, or as a commit of one, as the line wants it to end. */
static void
write_make(script_run *run, const lk_write *write, span *wanted, int64_t *value)
{
    lk_conflict conflict;
    lk_db *db = run->r->db;
    lk_status status = lkc_wanted_status(wanted);
    lkc_fill(&conflict, sizeof conflict);
    lkc_prime(run->r->result);
    if (run->by_commits) {
        lkc_status_check(run, status, lk_commit(db, write, 1, NULL, 0, &conflict));
        /* Of a bad argument it tells nothing. */
        bool told = !lkc_is_filled(&conflict, sizeof conflict), may = status < LK_OK;
        if ((told ? status == LK_OK : !may && status != LK_OK) ||
            (told &&
             (conflict.index != SIZE_MAX || conflict.current_version != 0 || conflict.write != 0)))
            lkc_script_fail(run, "the conflict is of another write, or of none");
    } else if (write->kind == LK_PUT)
        lkc_status_check(run, status,
                         lk_put_if(db, &write->item, write->condition, write->expected));
    else if (write->kind == LK_TOUCH)
        lkc_status_check(run, status, lk_touch(db, write->item.key, write->item.expires_at_ms));
    else
        lkc_status_check(
            run, status,
            lk_add(db, write->item.key, write->delta, write->item.expires_at_ms, value));
}

/* What is there behind a write: this, unless it has expired. */
static void
written_check(script_run *run, const lk_item *wanted)
{
    lk_item there = item_keep(run, wanted->key);
    bool gone = wanted->data.data == NULL || lk_has_expired(wanted->expires_at_ms, lkc_now(run->r));
    if (gone ? there.data.data != NULL
             : there.data.data == NULL || !lkc_equal(wanted->data, there.data) ||
                   there.expires_at_ms != wanted->expires_at_ms)
        lkc_script_fail(run, "the item is another one");
}

/* `put PK ITEM, if CONDITION, until T`, `touch PK SK, until T`: a refusal leaves what was there. */
static void
write_run(script_run *run, span words, span wanted)
{
    lk_write write = lkc_input_write(run, (span){words.words - 1, words.count + 1});
    lk_item after = item_keep(run, write.item.key);
    bool done = wanted.count == 0;
    write_make(run, &write, &wanted, NULL);
    if (wanted.count != 0)
        lkc_script_fail(run, "nothing can be expected but a status");
    if (done && write.kind == LK_PUT)
        after.data = write.item.data;
    if (done)
        after.expires_at_ms = write.item.expires_at_ms;
    written_check(run, &after);
}

/* `add PK SK DELTA, until T -> VALUE`: a number of 8 bytes, little-endian. */
static void
add_run(script_run *run, span words, span wanted)
{
    lk_write write = lkc_input_write(run, (span){words.words - 1, words.count + 1});
    lk_item after = item_keep(run, write.item.key);
    unsigned char bytes[8];
    int64_t value = 77, number = 77;
    bool fresh = after.data.data == NULL;
    write_make(run, &write, &wanted, &value);
    if (wanted.count != 0) {
        number = lkc_word_signed(run, wanted.words);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)((uint64_t)number >> 8 * i);
        after.data = lkc_bytes(bytes, sizeof bytes);
        after.expires_at_ms = fresh ? write.item.expires_at_ms : after.expires_at_ms;
        if (run->by_commits)
            value = number;
    }
    if (value != number)
        lkc_script_fail(run, "%lld, not %lld", (long long)value, (long long)number);
    written_check(run, &after);
}

const verb lkc_commit_verbs[] = {{"lock", lock_run}, {"absent", absent_run}, {"commit", commit_run},
                                 {"put", write_run}, {"touch", write_run},   {"add", add_run},
                                 {NULL, NULL}};
