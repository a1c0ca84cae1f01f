/* SPDX-License-Identifier: MIT
 *
 * The commit protocol: heads, records, commits, the clock, locks, and everybody who reads and writes them.
 *
 * MODELLED   Two heads, of the keys A and B, in address order. A record says all of its key: its item, the version of its
 *            lock, or that there is neither (a tombstone, which keeps the last version). An item that has expired is over,
 *            and its lock with it, by the time that a call has read: one that read it earlier may carry the lock on. Every
 *            access to a shared word is one step; a compare-and-swap is one step; all interleavings are searched.
 *              Txn     get_lock of A (creates the lock where there is none), get A, set_atomic {A, B} under the lock
 *              Put     set_atomic {A, B} without locks         Del    delete of A: a tombstone
 *              Set     plain set of A                          Renew  get_lock within the lock's last hour
 *              Sweep   tombstone over the expired A            Tick   time passes: A and B (one commit) expire together
 *              Get     plain get of A                          Snap   A and B at a snapshot of the clock
 *              Many    A and B by double collect; a snapshot where that fails
 *              Home    the first record of A lies in the room inside the cell; when it was replaced, the room is sealed with
 *                      the clock; when its grace period is over, a copy of what is effective comes into the room, if its
 *                      stamp is not above that; -DHOME=2: and then again
 *            A configuration is a choice of processes: -DTXN=n -DPUT -DDEL -DSET -DRENEW -DSWEEP -DGET -DSNAP -DMANY -DHOME=n,
 *            with -DATTEMPTS=n tries for each commit that others abort, and what A starts with: -DSTART=LIVE (item and
 *            lock), BARE (item), LOCK (lock), GONE (tombstone) or NONE (nothing). The first Txn may not write A but only
 *            validate its lock (-DKIND=BUMP), or delete A (-DKIND=ERASE).
 *            Reclamation is ghost state: a retired record remembers who was in a section; any use by anybody else is
 *            an error. A pointer that is only compared counts as used, so that reuse of an address (ABA) is covered: the
 *            first record and the copies that come home have one address, and numbers of their own.
 *
 * ABSTRACTED Memory is sequentially consistent: a missing fence is not found here (tests/stress finds those).
 *            Payloads, jobs (headed.pml), the set, the index, removal of cells (removal.pml), epochs (reclaim.pml), backoff,
 *            locks that lapse. A section spans one call. Livelock is out of scope: a commit gives up after ATTEMPTS tries.
 *
 * LINEARIZATION  A plain record takes effect at the CAS that makes it the head, a commit at INSTALLING -> READY. Ghost
 *            state numbers the effects of each head (place), links them (next) and keeps the latest one (now_). What comes
 *            home has the place of what it was copied from.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  what is used has not been freed
 *   I2  when a commit takes effect, all its records are heads, each over the record that was in effect before
 *   I3  a version that a lock gets is above all that its key ever had
 *   I4  set_atomic succeeds only while the lock still has the version it was given
 *   I5  set_atomic never succeeds over a delete or a sweep of A that came after the item which it read under its lock
 *   I6  RACE only if the version really changed, or the item had expired
 *   I7  a get returns what was in effect at some time between reading the head and returning
 *   I8  a snapshot at S shows of each head exactly the last record whose (final) stamp is at most S
 *   I9  a snapshot shows whatever had been returned, or read, before it began
 *   I10 a double collect shows the store as it was at one instant
 *   I11 no read shows one half of a commit whose two items expire together
 *   I12 a sweep replaces nothing but an expired record
 *   I13 in the end all that was replaced or undone is retired, once, and nothing that is in effect is
 *   I14 what a write does not change it carries over: a set the lock, a lock the item
 *   I15 what comes home is what is in effect: item, expiry, version and stamp
 *
 * TWINS (-DTWIN_name; each must fail, with the invariant that catches it)
 *   READERS_SKIP_READY        READY is treated like INSTALLING by readers                               I7 I8
 *   NO_READY                  INSTALLING -> stamp, the clock read before                                I8
 *   STAMP_BEFORE_INSTALL      a plain set reads the clock before it installs                            I8
 *   RETIRE_BEFORE_STAMP       prev is retired between READY and the stamp                               I1
 *   GET_DOES_NOT_STAMP        a plain get returns a record that has no stamp yet                        I9
 *   ABORT_READY               READY -> ABORTED is allowed                                               I2 I4 I7
 *   COLLECT_ONCE              double collect without its second pass                                    I10
 *   COLLECT_UNSETTLED         double collect accepts INSTALLING and READY heads                         I10
 *   DELETE_LEAVES_LOCK        delete takes the item and carries the lock                                I5
 *   DELETE_FORGETS_VERSION    the tombstone does not keep the last version                              I3
 *   RENEW_BY_STORE            renewal stores the head instead of a CAS                                  I2 I4
 *   RENEW_KEEPS_VERSION       renewal replaces the lock under its old version                           I3
 *   LOCK_COPY_UNCONDITIONAL   get_lock puts its copy of the item over whatever is there by now          I14
 *   BUMP_COPIES_STALE_ITEM    a commit validates what is there by now, and copies what it saw first     I14
 *   PUT_CARRIES_STALE_LOCK    a commit carries the lock that it saw first                               I14
 *   SET_DROPS_LOCK            a set carries no lock                                                     I14
 *   SET_CARRIES_STALE_LOCK    a set carries the lock that it saw first, over what is there by now       I14
 *   SET_REVIVES_LOCK          a set over a tombstone carries its version as that of a lock              I5 I14
 *   SET_IGNORES_FLOOR         a set over a tombstone does not raise the floor                           I3
 *   PUT_IGNORES_FLOOR         nor does a commit that goes without the lock                              I3
 *   EXPIRED_IGNORES_FLOOR     nor does a set over an item that has expired with its lock                  I3
 *   FLOOR_AFTER_SWAP          a set raises the floor after its swap                                     I3
 *   FLOOR_READ_BEFORE_HEAD    get_lock reads the floor, then the head                                   I3
 *   SET_OVER_INSTALLING       a plain set replaces an INSTALLING head without aborting it               I2
 *   UNDO_BY_STORE             undo stores prev instead of a CAS                                         I2 I7
 *   SWEEP_WHATEVER            the sweep puts its tombstone over whatever the head is by now             I12
 *   SWEEP_LEAVES_LOCK         the sweep takes the item and carries the lock                             I5
 *   NOW_BEFORE_SNAPSHOT       a reader takes the time before its snapshot or first pass                 I11
 *   HOME_BEFORE_GRACE         the room is written while the first record may still be read              I1
 *   HOME_OVER_UNSETTLED       a record comes home with a word that is no stamp yet                      I15
 *   HOME_NEW_STAMP            the copy gets a stamp of its own, from the clock                          I15
 *   HOME_WHATEVER_STAMP       the copy comes, the first of its key, whatever its stamp                  I9
 *   HOME_CLOCK_AFTER_EPOCH    the clock of the seal is read after the epoch                             I9
 *   HOME_DROPS_LOCK           the copy is of the item only                                              I15
 *   HOME_BY_STORE             the copy is stored over whatever the head is by now                       I15
 *   HOME_FORGETS_RETIRE       what was copied is not retired                                            I13
 *   HOME_FREES_AT_ONCE        what was copied is freed without a grace period                           I1
 *   HOME_OUTSIDE_SECTION      what is copied may be freed meanwhile                                     I1
 */

#ifndef TXN
#define TXN 0
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#define LIVE 0
#define BARE 1
#define LOCK 2
#define GONE 3
#define NONE 4
#ifndef START
#define START LIVE
#endif
#define WRITE 0
#define BUMP 1
#define ERASE 2
#ifndef KIND
#define KIND WRITE
#endif
#ifndef HOME
#define HOME 0
#endif
#ifdef PUT
#define COMMITTERS (TXN + 1)
#else
#define COMMITTERS TXN
#endif

#include "commit_heads.pml" /* heads, records, what is effective */

/* Returns v, the version of the lock of A; makes it where there is none. With `renews`, replaces it. */
inline get_lock(renews) {
    d_step { v = 0; judged_at = late };
    do
    :: v == 0 ->
#ifdef TWIN_FLOOR_READ_BEFORE_HEAD
        f = floor;
#endif
        h = head[A];
        effective(READER);
        if
        :: LOCK_OF(e, judged_at) != 0 && !renews -> v = version[e]
        :: LOCK_OF(e, judged_at) == 0 || renews ->
            if
            :: blocker != NO_COMMIT -> displace()
            :: else
            fi;
            if
            :: blocker == NO_COMMIT ->
#ifndef TWIN_FLOOR_READ_BEFORE_HEAD
                f = floor;
#endif
                at = late;
                d_step {
                    r = PLAIN_RECORD(me);
                    version[r] = MAX(version[e], f) + 1;
                    copy_item(r, e);
                    f = 0;
#ifdef TWIN_RENEW_KEEPS_VERSION
                    if :: LOCK_OF(e, judged_at) != 0 -> version[r] = version[e] :: else fi;
#endif
                    ok = false
                };
#ifdef TWIN_RENEW_BY_STORE
                h = head[A];
#endif
#ifdef TWIN_LOCK_COPY_UNCONDITIONAL
                h = head[A];
                effective(READER);
                h = e;
#endif
                install_plain();
                if
                :: ok -> finish_plain(); v = version[r]
                :: else
                fi
            :: else
            fi
        fi
    :: else -> break
    od;
    atomic { at = false; judged_at = false }
}

/* Record r of a commit, over e on head k: not yet seen by anybody. Inside an atomic step. */
inline prepare(kind_) {
    prev[r] = e; word[r] = COMMIT + my; item[r] = r;
    if
    :: k == A && kind_ == ERASE -> item[r] = 0; tomb[r] = true; version[r] = version[e]
    :: k == A && kind_ == WRITE && locked -> version[r] = version[e] + 1; fresh[r] = true
    :: k == A && kind_ == WRITE && !locked -> version[r] = LOCK_OF(e, at)
    :: k == A && kind_ == BUMP -> version[r] = version[e] + 1; copy_item(r, e)
    :: else
    fi
}

/* One attempt of a commit; the step of A validates its lock if `locked`. Sets done, raced or neither. */
inline attempt_commit(a_, kind_) {
    atomic { my = me * ATTEMPTS + a_; base = ATTEMPT_RECORD(me, a_); installed = 0; lost = false; k = 0 };
    do
    :: k < HEADS && !raced ->
        h = head[k];
        effective(WRITER);
#if defined(TWIN_BUMP_COPIES_STALE_ITEM) || defined(TWIN_PUT_CARRIES_STALE_LOCK)
        if :: k == A && first == 0 -> first = e :: else fi;
#endif
        if
        :: blocker != NO_COMMIT -> displace()
        :: else
        fi;
        if
        :: blocker != NO_COMMIT -> skip /* it got through: look again */
        :: blocker == NO_COMMIT && k == A && locked && LOCK_OF(e, judged_at) != v ->
            raced = true;
            assert(LOCK_OF(now_[A], false) != v || IS_OVER(e, judged_at)) /* I6 */
        :: else ->
            at = late;
#ifndef TWIN_PUT_IGNORES_FLOOR
            if :: k == A && !locked -> raise_floor() :: else fi;
#endif
            d_step {
                r = base + k;
                prepare(kind_);
#ifdef TWIN_BUMP_COPIES_STALE_ITEM
                if :: k == A && kind_ == BUMP -> copy_item(r, first) :: else fi;
#endif
#ifdef TWIN_PUT_CARRIES_STALE_LOCK
                if :: k == A && !locked -> version[r] = LOCK_OF(first, at) :: else fi;
#endif
                if :: h != EMPTY -> USE(h) :: else fi;
                if
                :: head[k] == h -> head[k] = r; installed = installed | BIT(k); k++
                :: else -> /* still ours alone */
                    prev[r] = 0; word[r] = 0; item[r] = 0; version[r] = 0; tomb[r] = false; mortal[r] = false;
                    fresh[r] = false; lapsed[r] = false
                fi
            }
        fi
    :: else -> break
    od;
    if
    :: raced ->
        d_step { if :: state[my] == INSTALLING -> state[my] = ABORTED :: else fi; lost = true; k = 0 }
    :: else ->
#ifdef TWIN_NO_READY
        t = clock;
#endif
        d_step {
            if
            :: state[my] == INSTALLING ->
#ifdef TWIN_NO_READY
                state[my] = t;
#else
                state[my] = READY;
#endif
                if
                :: locked ->
                    assert(LOCK_OF(now_[A], false) == v); /* I4 */
                    assert(deleted_place <= seen_place) /* I5 */
                :: else
                fi;
                k = 0;
                do
                :: k < HEADS -> takes_effect(k, base + k); k++
                :: else -> break
                od;
                done = true
            :: else -> lost = true
            fi;
            k = 0
        }
    fi;
    if
    :: !lost ->
#ifdef TWIN_RETIRE_BEFORE_STAMP
        retire(prev[base]);
#endif
#ifndef TWIN_NO_READY
        t = clock;
#endif
        d_step { if :: state[my] == READY -> state[my] = t :: else fi; t = 0 };
        do
        :: k < HEADS ->
            d_step { r = base + k; word[r] = state[my] };
#ifdef TWIN_RETIRE_BEFORE_STAMP
            if :: k != A -> retire(prev[r]) :: else fi;
#else
            retire(prev[r]);
#endif
            d_step { settled_place[k] = MAX(settled_place[k], place[r]); k++ }
        :: else -> break
        od
    :: else ->
        assert(state[my] == ABORTED);
        do
        :: k < HEADS && (installed & BIT(k)) ->
            d_step {
                r = base + k;
#ifdef TWIN_UNDO_BY_STORE
                head[k] = prev[r];
#else
                if :: head[k] == r -> head[k] = prev[r] :: else fi;
#endif
                k++
            };
            retire(r)
        :: k < HEADS && !(installed & BIT(k)) -> k++
        :: else -> break
        od
    fi;
    atomic { assert(!(commit_grave[my] & RETIRED)); commit_grave[my] = RETIRED | sections; k = 0; r = 0 }
}

/* Attempts until one succeeds or finds the lock stale. */
inline commit(a_, kind_) {
    d_step { a_ = 0; judged_at = late };
    do
    :: a_ < ATTEMPTS && !done && !raced -> attempt_commit(a_, kind_); a_++
    :: else -> break
    od
}

#define COMMIT_LOCALS byte k, my, base, installed, v, f, seen_place, a, first; bool lost, raced, done, ok, locked, at, judged_at

#if TXN > 0
proctype Txn(byte me; byte kind) {
    LOCALS;
    COMMIT_LOCALS;
    enter();
    get_lock(false);
    leave();
    enter();
    h = head[A];
    effective(READER);
    seen_place = place[e];
    leave();
    enter();
    locked = true;
    commit(a, kind);
    leave()
}
#endif

#if defined(PUT)
proctype Put(byte me) {
    LOCALS;
    COMMIT_LOCALS;
    enter();
    commit(a, WRITE);
    leave()
}
#endif

#if defined(DEL)
proctype Del(byte me) {
    LOCALS;
    bool ok;
    enter();
    r = PLAIN_RECORD(me);
    do
    :: !ok ->
        h = head[A];
        effective(WRITER);
        if
        :: ABSENT(e) -> break /* nothing to delete */
        :: else ->
            if
            :: blocker != NO_COMMIT -> displace()
            :: else
            fi;
            if
            :: blocker != NO_COMMIT -> skip
            :: else ->
                d_step {
                    USE(e);
#ifdef TWIN_DELETE_LEAVES_LOCK
                    version[r] = LOCK_OF(e, false);
#else
                    tomb[r] = true; version[r] = version[e]
#endif
                };
#ifdef TWIN_DELETE_FORGETS_VERSION
                version[r] = 0;
#endif
                install_plain()
            fi
        fi
    :: else -> break
    od;
    if :: ok -> finish_plain() :: else fi;
    leave()
}
#endif

#if defined(RENEW)
proctype Renew(byte me) {
    LOCALS;
    byte v, f;
    bool ok, at, judged_at;
    enter();
    get_lock(true);
    leave()
}
#endif

#if defined(SET)
proctype Set(byte me) {
    LOCALS;
    byte first;
    bool ok, at;
    enter();
    r = PLAIN_RECORD(me);
#ifdef TWIN_STAMP_BEFORE_INSTALL
    byte early = clock;
#endif
    do
    :: !ok ->
        h = head[A];
        effective(WRITER);
#ifndef TWIN_SET_OVER_INSTALLING
        if
        :: blocker != NO_COMMIT -> displace()
        :: else
        fi;
#endif
        if
#ifndef TWIN_SET_OVER_INSTALLING
        :: blocker != NO_COMMIT -> skip
#endif
        :: else ->
            at = late;
#if !defined(TWIN_SET_IGNORES_FLOOR) && !defined(TWIN_FLOOR_AFTER_SWAP)
            raise_floor();
#endif
            d_step {
                if :: e != EMPTY -> USE(e) :: else fi;
                item[r] = r; version[r] = LOCK_OF(e, at)
#ifdef TWIN_SET_DROPS_LOCK
                ; version[r] = 0
#endif
#ifdef TWIN_SET_REVIVES_LOCK
                ; version[r] = version[e]
#endif
#ifdef TWIN_SET_CARRIES_STALE_LOCK
                ; if :: first == 0 -> first = e :: else fi; version[r] = LOCK_OF(first, at)
#endif
            };
            install_plain()
        fi
    :: else -> break
    od;
#ifdef TWIN_FLOOR_AFTER_SWAP
    raise_floor();
#endif
#ifdef TWIN_STAMP_BEFORE_INSTALL
    t = early;
#endif
    finish_plain();
    leave()
}
#endif

#if defined(SWEEP)
proctype Tick() { late = true }

proctype Sweep(byte me) {
    LOCALS;
    bool ok, at;
    enter();
    at = late;
    h = head[A];
    effective(READER);
    if
    :: e == h && mortal[e] && at ->
        d_step {
            r = PLAIN_RECORD(me); lapsed[r] = true;
#ifdef TWIN_SWEEP_LEAVES_LOCK
            version[r] = LOCK_OF(e, false);
#else
            tomb[r] = true; version[r] = version[e];
#endif
        };
#ifdef TWIN_SWEEP_WHATEVER
        h = head[A];
        effective(READER);
        h = e;
#endif
        d_step { if :: head[A] == h -> assert(mortal[now_[A]]) /* I12 */ :: else fi };
        install_plain();
        if
        :: ok -> finish_plain()
        :: else
        fi
    :: else
    fi;
    leave()
}
#endif

#if HOME > 0
#ifdef TWIN_HOME_BEFORE_GRACE
#define ROOM_IS_LEFT (grave[inside] & RETIRED)
#else
#define ROOM_IS_LEFT (grave[inside] == RETIRED)
#endif
#ifdef TWIN_HOME_WHATEVER_STAMP
#define IS_NEEDED_BEFORE(stamp_) false
#else
#define IS_NEEDED_BEFORE(stamp_) ((stamp_) > sealed)
#endif
/* The clock, then the epoch: who is in a section by then is waited for. */
inline seal() {
#ifdef TWIN_HOME_CLOCK_AFTER_EPOCH
    grave[inside] = grave[inside] | sections;
    sealed = clock
#else
    sealed = clock;
    grave[inside] = grave[inside] | sections
#endif
}
/* Whoever disposes of the record inside; perhaps after all others have ended. */
proctype Home(byte me) {
    LOCALS;
    byte n, copy, inside = INSIDE, sealed;
    bool ok;
    do
    :: n < HOME && sealed == 0 && (grave[inside] & RETIRED) -> seal()
    :: n < HOME && sealed != 0 && ROOM_IS_LEFT ->
        copy = HOMED(n);
#ifndef TWIN_HOME_OUTSIDE_SECTION
        enter();
#endif
        h = head[A];
        d_step { USE(h); w = word[h] };
#ifndef TWIN_HOME_OVER_UNSETTLED
        if
        :: w >= COMMIT ->
            d_step {
                c = w - COMMIT; USE_COMMIT(c); s = state[c];
                w = (s == INSTALLING || s == READY || s == ABORTED -> 0 : s);
                c = 0; s = 0
            }
        :: else
        fi;
#endif
#ifdef TWIN_HOME_NEW_STAMP
        if :: w != 0 -> w = clock :: else fi;
#endif
        if
#ifdef TWIN_HOME_OVER_UNSETTLED
        :: tomb[h] -> skip
#else
        :: w == 0 || tomb[h] || IS_NEEDED_BEFORE(w) -> skip
#endif
        :: else ->
            d_step {
                USE(h);
                grave[inside] = RETIRED; /* its bytes are gone, for everybody */
                word[copy] = w; item[copy] = item[h]; version[copy] = version[h]; mortal[copy] = mortal[h];
                lapsed[copy] = lapsed[h];
#ifdef TWIN_HOME_DROPS_LOCK
                version[copy] = 0;
#endif
                w = 0
            };
            d_step {
                USE(h);
                if
#ifdef TWIN_HOME_BY_STORE
                :: true ->
#else
                :: head[A] == h ->
#endif
                    head[A] = copy; ok = true;
                    assert(now_[A] == h && item[copy] == item[h] && mortal[copy] == mortal[h]); /* I15 */
                    assert(version[copy] == version[h]); /* I15 */
                    assert(word[copy] == (word[h] >= COMMIT -> state[word[h] - COMMIT] : word[h])); /* I15 */
                    assert(word[copy] != 0 && word[copy] < READY); /* I15 */
                    place[copy] = place[h]; copied[n] = h; moved[h] = true; now_[A] = copy
                :: else -> /* the room is free */
                    word[copy] = 0; item[copy] = 0; version[copy] = 0; mortal[copy] = false; prev[copy] = 0;
                    lapsed[copy] = false
                fi
            };
            if
            :: ok ->
#ifdef TWIN_HOME_FREES_AT_ONCE
                grave[h] = RETIRED
#else
#ifndef TWIN_HOME_FORGETS_RETIRE
                retire(h)
#endif
#endif
            :: else
            fi
        fi;
        leave();
        atomic { if :: ok -> n++; inside = copy; ok = false :: else -> n = HOME fi; copy = 0; sealed = 0 }
    :: n == HOME -> break
    :: _nr_pr == 2 -> break
    od
}
#endif

#if defined(GET)
proctype Get(byte me) {
    LOCALS;
    byte oldest;
    enter();
    d_step { h = head[A]; oldest = place[now_[A]] };
    effective(GETTER);
    d_step {
        if :: e != EMPTY -> USE(e) :: else fi;
        assert(e == EMPTY || place[e] >= oldest); /* I7 */
        settled_place[A] = MAX(settled_place[A], place[e]);
        oldest = 0
    };
    leave()
}
#endif

/* r_ = the record of head k_ at snapshot S. */
inline read_at(k_, r_) {
    h = head[k_];
    effective(READER);
    do
    :: es > S -> d_step { USE(e); e = prev[e] }; stamp_of(e, es)
    :: else -> break
    od;
    atomic { USE(e); r_ = e; h = 0; e = 0; es = 0 }
}

#define SHOWN(r_, at_) (item[r_] != 0 && !(mortal[r_] && (at_)))

/* a, b = the records of both items at a snapshot; `at` = the time for expiry, taken after it. */
inline read_snapshot(n_) {
    d_step { oldest_a = settled_place[A]; oldest_b = settled_place[B] };
    S = clock;
    d_step { if :: clock == S -> clock = S + 1 :: else fi };
#ifndef TWIN_NOW_BEFORE_SNAPSHOT
    at = late;
#endif
    read_at(A, a);
    read_at(B, b);
    d_step {
        assert(place[a] >= oldest_a && place[b] >= oldest_b); /* I9 */
        judge_expiry();
        read_S[n_] = S; read_A[n_] = a; read_B[n_] = b;
        S = 0; a = 0; b = 0; at = 0; oldest_a = 0; oldest_b = 0
    }
}

/* The two first records come from one commit and expire together. */
inline judge_expiry() {
    assert(!(mortal[a] && mortal[b]) || SHOWN(a, at) == SHOWN(b, at)); /* I11 */
    assert(!(lapsed[a] && mortal[b]) || !SHOWN(b, at)) /* I11 */
}

#define READ_LOCALS byte a, b, S, oldest_a, oldest_b; bool at

#if defined(SNAP)
proctype Snap(byte me) {
    LOCALS;
    READ_LOCALS;
    enter();
#ifdef TWIN_NOW_BEFORE_SNAPSHOT
    at = late;
#endif
    read_snapshot(0);
    leave()
}
#endif

/* a_ = head k_, if it is settled: empty, or a record whose own word is a stamp. */
inline collect(k_, a_) {
    a_ = head[k_];
#ifdef TWIN_COLLECT_UNSETTLED
    h = a_;
    effective(READER);
    if :: k_ == A -> ea = e :: else -> eb = e fi;
#else
    if
    :: a_ != EMPTY -> d_step { USE(a_); if :: word[a_] == 0 || word[a_] >= COMMIT -> settled = false :: else fi }
    :: else
    fi
#endif
}

#if defined(MANY)
proctype Many(byte me) {
    LOCALS;
    READ_LOCALS;
    bool settled = true;
    byte ea, eb, instant_a, instant_b;
    enter();
#ifdef TWIN_NOW_BEFORE_SNAPSHOT
    at = late;
#endif
    collect(B, b);
    collect(A, a);
#ifndef TWIN_NOW_BEFORE_SNAPSHOT
    at = late;
#endif
    d_step { instant_a = now_[A]; instant_b = now_[B] };
#ifndef TWIN_COLLECT_ONCE
    if :: head[B] != b -> settled = false :: else fi;
    if :: head[A] != a -> settled = false :: else fi;
#endif
#ifdef TWIN_COLLECT_UNSETTLED
    if :: settled -> a = ea; b = eb :: else fi;
#endif
    if
    :: settled ->
        d_step {
            assert(a == instant_a && b == instant_b); /* I10 */
            judge_expiry();
            settled_place[A] = MAX(settled_place[A], place[a]);
            settled_place[B] = MAX(settled_place[B], place[b]);
            a = 0; b = 0; at = 0; ea = 0; eb = 0; instant_a = 0; instant_b = 0
        }
    :: else ->
        d_step { a = 0; b = 0; ea = 0; eb = 0; instant_a = 0; instant_b = 0; at = 0 };
        read_snapshot(1)
    fi;
    leave()
}
#endif

/* I8, when every stamp is final. */
inline judge_snapshot(n_) {
    if
    :: read_S[n_] != 0 ->
        assert(word[read_A[n_]] <= read_S[n_] && word[read_B[n_]] <= read_S[n_]); /* I8 */
        assert(next[read_A[n_]] == 0 || word[next[read_A[n_]]] > read_S[n_]); /* I8 */
        assert(next[read_B[n_]] == 0 || word[next[read_B[n_]]] > read_S[n_]) /* I8 */
    :: else
    fi
}

init {
    byte n;
    atomic {
        n = 0;
        do
        :: n < HEADS ->
            head[n] = n + 1; now_[n] = n + 1; word[n + 1] = 1; place[n + 1] = 1; settled_place[n] = 1; item[n + 1] = n + 1;
            n++
        :: else -> break
        od;
        next[EMPTY] = INSIDE;
        version[INSIDE] = 1; newest_version = 1;
#ifdef SWEEP
        mortal[A + 1] = true; mortal[B + 1] = true;
#endif
        if
        :: START == LIVE
        :: START == BARE -> version[INSIDE] = 0; newest_version = 0
        :: START == LOCK -> item[INSIDE] = 0; mortal[INSIDE] = false
        :: START == GONE -> item[INSIDE] = 0; mortal[INSIDE] = false; tomb[INSIDE] = true
        :: START == NONE ->
            head[A] = EMPTY; now_[A] = EMPTY; settled_place[A] = 0; version[INSIDE] = 0; newest_version = 0; next[EMPTY] = 0;
            word[INSIDE] = 0; place[INSIDE] = 0; item[INSIDE] = 0; mortal[INSIDE] = false
        fi;
        n = 0;
#if HOME > 0
        run Home(P_HOME); /* the first, as it may have to see all others end */
#endif
#if TXN > 0
        do
        :: n < TXN -> run Txn(n, (n == 0 -> KIND : WRITE)); n++
        :: else -> break
        od;
#endif
#ifdef PUT
        run Put(P_PUT);
#endif
#ifdef DEL
        run Del(P_DEL);
#endif
#ifdef SET
        run Set(P_SET);
#endif
#ifdef SWEEP
        run Sweep(P_SWEEP);
        run Tick();
#endif
#ifdef RENEW
        run Renew(P_RENEW);
#endif
#ifdef GET
        run Get(P_READ);
#endif
#ifdef SNAP
        run Snap(P_READ);
#endif
#ifdef MANY
        run Many(P_READ2);
#endif
        n = 0
    }
    _nr_pr == 1;
    d_step {
        judge_snapshot(0);
        judge_snapshot(1);
        do
        :: n < HEADS -> assert(head[n] == now_[n]) /* I13 */; n++
        :: else -> break
        od;
        n = 1;
        do
        :: n < RECORDS ->
            assert(place[n] == 0 || next[n] == 0 || (grave[n] & RETIRED)); /* I13 */
            assert(place[n] == 0 || next[n] != 0 || moved[n] || !(grave[n] & RETIRED)); /* I13 */
            assert(!moved[n] || (grave[n] & RETIRED)); /* I13 */
            assert(place[n] != 0 || word[n] == 0 || (grave[n] & RETIRED)); /* I13 */
            n++
        :: else -> break
        od
    }
}
