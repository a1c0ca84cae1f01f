/* SPDX-License-Identifier: MIT
 *
 * The commit protocol: heads, records, commits, the clock, and everybody who reads and writes them.
 *
 * MODELLED   Three heads: the item and the lock of key A, the item of key B, in address order. Every access to a
 *            shared word is one step; a compare-and-swap is one step; all interleavings are searched.
 *              Txn     get_lock (creates the lock where there is none), get A, set_atomic {A, B, bump the lock}
 *              Del     delete of A: one commit of two tombstones, over the item and over the lock
 *              Set     plain set of A                       Renew   get_lock within the lock's last hour
 *              Sweep   tombstone over the expired A         Tick    time passes: A and B (one commit) expire together
 *              Get     plain get of A                       Snap    A and B at a snapshot of the clock
 *              Many    A and B by double collect; a snapshot where that fails
 *            A configuration is a choice of processes: -DTXN=n -DDEL -DSET -DRENEW -DSWEEP -DGET -DSNAP -DMANY, with
 *            -DATTEMPTS=n tries for each commit that others abort, and -DLOCK_START=LIVE, GONE or NONE.
 *            Reclamation is ghost state: a retired record remembers who was in a section; any use by anybody else is
 *            an error. A pointer that is only compared counts as used, so that reuse of an address (ABA) is covered.
 *
 * ABSTRACTED Memory is sequentially consistent: a missing fence is not found here (tests/stress finds those).
 *            Payloads, the set, the index, removal of cells (removal.pml), epochs (reclaim.pml), backoff. A section
 *            spans one call. Livelock is out of scope: a commit gives up after ATTEMPTS tries.
 *
 * LINEARIZATION  A plain record takes effect at the CAS that makes it the head, a commit at INSTALLING -> READY. Ghost
 *            state numbers the effects of each head (place), links them (next) and keeps the latest one (now_).
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  what is used has not been freed
 *   I2  when a commit takes effect, all its records are heads, each over the record that was in effect before
 *   I3  versions of one key strictly increase, tombstones included
 *   I4  set_atomic succeeds only while the lock still has the version it was given
 *   I5  set_atomic never succeeds over a delete of A that came after the value which it read under its lock
 *   I6  RACE only if the version really changed
 *   I7  a get returns what was in effect at some time between reading the head and returning
 *   I8  a snapshot at S shows of each head exactly the last record whose (final) stamp is at most S
 *   I9  a snapshot shows whatever had been returned, or read, before it began
 *   I10 a double collect shows the store as it was at one instant
 *   I11 no read shows one half of a commit whose two items expire together
 *   I12 a sweep replaces nothing but an expired record
 *   I13 in the end all that was replaced or undone is retired, once, and nothing that is in effect is
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
 *   DELETE_LEAVES_LOCK        delete does not touch the lock                                            I5
 *   DELETE_SKIPS_ABSENT_LOCK  delete is a plain tombstone where it found no lock                        I5
 *   RENEW_BY_STORE            renewal stores the head instead of a CAS                                  I2 I4
 *   RENEW_KEEPS_VERSION       renewal replaces the lock under its old version                           I3
 *   SET_OVER_INSTALLING       a plain set replaces an INSTALLING head without aborting it               I2
 *   UNDO_BY_STORE             undo stores prev instead of a CAS                                         I2 I7
 *   SWEEP_WHATEVER            the sweep puts its tombstone over whatever the head is by now             I12
 *   NOW_BEFORE_SNAPSHOT       a reader takes the time before its snapshot or first pass                 I11
 */

#ifndef TXN
#define TXN 0
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#define LIVE 0
#define GONE 1
#define NONE 2
#ifndef LOCK_START
#define LOCK_START LIVE
#endif

#define ITEM_A 0
#define LOCK_A 1
#define ITEM_B 2
#define HEADS 3

#define EMPTY 0      /* no record; records are 1, 2, ... */
#define NO_COMMIT 99
#define COMMIT 32    /* a record's word: 0, a stamp (1..31), or COMMIT + number of its commit */
#define INSTALLING 0 /* a commit's state: INSTALLING, READY, ABORTED, or a stamp */
#define READY 30
#define ABORTED 31

/* Process numbers, their records and commits. Each attempt of a commit has three records and one commit of its own. */
#define P_DEL TXN
#define P_PLAIN (TXN + 1)
#define P_RENEW (TXN + 2)
#define P_SWEEP (TXN + 3)
#define P_READ (TXN + 4)  /* Get or Snap */
#define P_READ2 (TXN + 5) /* Many */
#define ATTEMPT_RECORD(p, a) (4 + ((p) * ATTEMPTS + (a)) * HEADS)
#define PLAIN_RECORD(p) (4 + (TXN + 1) * ATTEMPTS * HEADS + (p))
#define RECORDS (4 + (TXN + 1) * ATTEMPTS * HEADS + TXN + 4)
#define COMMITS ((TXN + 1) * ATTEMPTS)

byte head[HEADS];
byte word[RECORDS];
byte prev[RECORDS];
byte version[RECORDS]; /* of a lock or lock tombstone */
bool gone[RECORDS];    /* tombstone */
bool mortal[RECORDS];  /* expires when `late` becomes true */
byte state[COMMITS];
byte clock = 2;
bool late = false;

/* Ghost state. */
byte sections;           /* bit p: process p is in a section */
short grave[RECORDS];    /* RETIRED; bit p: process p was in a section then, and still is */
short commit_grave[COMMITS];
#define RETIRED 256
byte now_[HEADS];        /* record in effect */
byte place[RECORDS];     /* number of its effect on its head, from 1; 0: never took effect */
byte next[RECORDS];      /* record that took effect after it */
byte settled_place[HEADS]; /* highest place that some finished call has written or returned */
byte deleted_place;      /* place of the last delete of A */
byte newest_version;
byte read_S[2];          /* results of snapshots, judged in the end */
byte read_A[2];
byte read_B[2];

#define BIT(p) (1 << (p))
#define FREED(grave_) (((grave_) & RETIRED) && !((grave_) & BIT(me)))
#define USE(r) assert(!FREED(grave[r])) /* I1 */
#define USE_COMMIT(c_) assert(!FREED(commit_grave[c_])) /* I1 */
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define ABSENT(r) ((r) == EMPTY || gone[r])

/* Every process has these: h head, e effective record, es its stamp, blocker a commit in the way. */
#define LOCALS byte h, e, es, w, t, c, s, i, r; byte blocker = NO_COMMIT

inline enter() { sections = sections | BIT(me) }

inline leave() {
    d_step {
        sections = sections & ~BIT(me);
        i = 0;
        do :: i < RECORDS -> grave[i] = grave[i] & ~BIT(me); i++ :: else -> break od;
        i = 0;
        do :: i < COMMITS -> commit_grave[i] = commit_grave[i] & ~BIT(me); i++ :: else -> break od;
        i = 0; h = 0; e = 0; es = 0; r = 0; c = 0; s = 0; w = 0; t = 0
    }
}

inline retire(r_) {
    d_step {
        if
        :: r_ != EMPTY -> assert(!(grave[r_] & RETIRED)) /* I13 */; grave[r_] = RETIRED | sections
        :: else
        fi
    }
}

/* Ghost: record r_ takes effect on head k_. Called inside an atomic step. */
inline takes_effect(k_, r_) {
    assert(head[k_] == r_ && prev[r_] == now_[k_]); /* I2 */
    place[r_] = place[now_[k_]] + 1;
    next[now_[k_]] = r_;
    now_[k_] = r_;
    if
    :: k_ == LOCK_A -> assert(version[r_] > newest_version) /* I3 */; newest_version = version[r_]
    :: else
    fi;
    next[EMPTY] = 0
}

/* The stamp of a record that is known to have one. */
inline stamp_of(r_, stamp_) {
    d_step {
        if
        :: r_ == EMPTY -> stamp_ = 0
        :: else ->
            USE(r_);
            if
            :: word[r_] >= COMMIT -> USE_COMMIT(word[r_] - COMMIT); stamp_ = state[word[r_] - COMMIT]
            :: else -> stamp_ = word[r_]
            fi;
            assert(stamp_ != 0 && stamp_ < READY)
        fi
    }
}

#define WRITER 0
#define READER 1
#define GETTER 2 /* a plain get: no snapshot of its own */

#ifdef TWIN_READERS_SKIP_READY
#define SKIPS_READY(role) (role != WRITER)
#else
#define SKIPS_READY(role) false
#endif
#ifdef TWIN_GET_DOES_NOT_STAMP
#define LEAVES_UNSTAMPED(role) (role == GETTER)
#else
#define LEAVES_UNSTAMPED(role) false
#endif

/* e = effective record of head value h, es = its stamp, blocker = the INSTALLING commit that was skipped. */
inline effective(role) {
    blocker = NO_COMMIT;
    if
    :: h == EMPTY -> d_step { e = EMPTY; es = 0 }
    :: else ->
        d_step { USE(h); w = word[h] };
        if
        :: w == 0 && LEAVES_UNSTAMPED(role) -> e = h
        :: w == 0 && !LEAVES_UNSTAMPED(role) ->
            t = clock;
            d_step {
                USE(h);
                if :: word[h] == 0 -> word[h] = t :: else fi;
                e = h; es = word[h]; t = 0
            }
        :: w != 0 && w < COMMIT -> d_step { e = h; es = w; w = 0 }
        :: w >= COMMIT ->
            d_step { c = w - COMMIT; w = 0; USE_COMMIT(c); s = state[c] };
            if
            :: s == READY && LEAVES_UNSTAMPED(role) -> e = h
            :: s == READY && !LEAVES_UNSTAMPED(role) && !SKIPS_READY(role) ->
                t = clock;
                d_step {
                    USE_COMMIT(c);
                    if :: state[c] == READY -> state[c] = t :: else fi;
                    e = h; es = state[c]; t = 0
                }
            :: s == INSTALLING -> d_step { USE(h); e = prev[h]; blocker = c }; stamp_of(e, es)
            :: s == ABORTED || (s == READY && SKIPS_READY(role)) ->
                d_step { USE(h); e = prev[h] }; stamp_of(e, es)
            :: s != INSTALLING && s != READY && s != ABORTED -> d_step { e = h; es = s }
            fi;
            d_step { s = 0; c = 0 }
        fi
    fi
}

/* Abort the commit in the way; blocker stays set if it got through before. */
inline displace() {
    d_step {
        USE_COMMIT(blocker);
        if
        :: state[blocker] == INSTALLING -> state[blocker] = ABORTED; blocker = NO_COMMIT
#ifdef TWIN_ABORT_READY
        :: state[blocker] == READY -> state[blocker] = ABORTED; blocker = NO_COMMIT
#endif
        :: else
        fi
    }
}

/* The CAS of a plain write: record r from h over e on head k_; ok says whether it went in. */
inline install_plain(k_) {
    d_step {
        prev[r] = e;
        if :: h != EMPTY -> USE(h) :: else fi;
        if
        :: head[k_] == h -> head[k_] = r; ok = true; takes_effect(k_, r)
        :: else
        fi
    }
}

/* What follows it: stamp, retire prev. */
inline finish_plain(k_) {
#ifndef TWIN_STAMP_BEFORE_INSTALL
    t = clock;
#endif
    d_step { if :: word[r] == 0 -> word[r] = t :: else fi; t = 0 };
    retire(prev[r]);
    d_step { settled_place[k_] = MAX(settled_place[k_], place[r]) }
}

/* Returns v, the version of the lock of A; makes it where there is none. With `renews`, replaces it. */
inline get_lock(renews) {
    v = 0;
    do
    :: v == 0 ->
        h = head[LOCK_A];
        effective(READER);
        if
        :: !ABSENT(e) && !renews -> v = version[e]
        :: ABSENT(e) || renews ->
            if
            :: blocker != NO_COMMIT -> displace()
            :: else
            fi;
            if
            :: blocker == NO_COMMIT ->
                d_step {
                    r = PLAIN_RECORD(me);
                    version[r] = (e == EMPTY -> 1 : version[e] + 1);
#ifdef TWIN_RENEW_KEEPS_VERSION
                    if :: !ABSENT(e) -> version[r] = version[e] :: else fi;
#endif
                    ok = false
                };
#ifdef TWIN_RENEW_BY_STORE
                h = head[LOCK_A];
#endif
                install_plain(LOCK_A);
                if
                :: ok -> finish_plain(LOCK_A); v = version[r]
                :: else
                fi
            :: else
            fi
        fi
    :: else -> break
    od
}

/* One attempt of a commit: a record on each head in `heads`, tombstones if `deletes`. Sets done, raced or neither. */
inline attempt_commit(a_) {
    atomic { my = me * ATTEMPTS + a_; base = ATTEMPT_RECORD(me, a_); installed = 0; lost = false; k = 0 };
    do
    :: k < HEADS && !(heads & BIT(k)) -> k++
    :: k < HEADS && (heads & BIT(k)) && !raced ->
        h = head[k];
        effective(WRITER);
        if
        :: blocker != NO_COMMIT -> displace()
        :: else
        fi;
        if
        :: blocker != NO_COMMIT -> skip /* it got through: look again */
        :: blocker == NO_COMMIT && k == LOCK_A && !deletes && (ABSENT(e) || version[e] != v) ->
            raced = true;
            assert(gone[now_[LOCK_A]] || version[now_[LOCK_A]] != v) /* I6 */
        :: else ->
            d_step {
                r = base + k; prev[r] = e; word[r] = COMMIT + my;
                gone[r] = deletes;
                version[r] = (k != LOCK_A -> 0 : (e == EMPTY -> 1 : version[e] + 1));
                if :: h != EMPTY -> USE(h) :: else fi;
                if
                :: head[k] == h -> head[k] = r; installed = installed | BIT(k); k++
                :: else -> prev[r] = 0; word[r] = 0; version[r] = 0; gone[r] = false /* still ours alone */
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
                :: !deletes ->
                    assert(!gone[now_[LOCK_A]] && version[now_[LOCK_A]] == v); /* I4 */
                    assert(deleted_place <= seen_place) /* I5 */
                :: else
                fi;
                k = 0;
                do
                :: k < HEADS && (heads & BIT(k)) -> takes_effect(k, base + k); k++
                :: k < HEADS && !(heads & BIT(k)) -> k++
                :: else -> break
                od;
                if :: deletes -> deleted_place = place[base] :: else fi;
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
        :: k < HEADS && (heads & BIT(k)) ->
            d_step { r = base + k; word[r] = state[my] };
#ifdef TWIN_RETIRE_BEFORE_STAMP
            if :: k != ITEM_A -> retire(prev[r]) :: else fi;
#else
            retire(prev[r]);
#endif
            d_step { settled_place[k] = MAX(settled_place[k], place[r]); k++ }
        :: k < HEADS && !(heads & BIT(k)) -> k++
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
inline commit(a_) {
    a_ = 0;
    do
    :: a_ < ATTEMPTS && !done && !raced -> attempt_commit(a_); a_++
    :: else -> break
    od
}

#define COMMIT_LOCALS byte k, my, base, installed, heads, v, seen_place, a; bool lost, raced, done, ok, deletes

#if TXN > 0
proctype Txn(byte me) {
    LOCALS;
    COMMIT_LOCALS;
    enter();
    get_lock(false);
    leave();
    enter();
    h = head[ITEM_A];
    effective(READER);
    seen_place = place[e];
    leave();
    enter();
    heads = BIT(ITEM_A) | BIT(LOCK_A) | BIT(ITEM_B);
    commit(a);
    leave()
}
#endif

#if defined(DEL)
proctype Del(byte me) {
    LOCALS;
    COMMIT_LOCALS;
    enter();
    heads = BIT(ITEM_A) | BIT(LOCK_A);
    deletes = true;
#ifdef TWIN_DELETE_LEAVES_LOCK
    heads = BIT(ITEM_A);
#endif
#ifdef TWIN_DELETE_SKIPS_ABSENT_LOCK
    h = head[LOCK_A];
    effective(READER);
    if :: ABSENT(e) && blocker == NO_COMMIT -> heads = BIT(ITEM_A) :: else fi;
#endif
    commit(a);
    leave()
}
#endif

#if defined(RENEW)
proctype Renew(byte me) {
    LOCALS;
    byte v;
    bool ok;
    enter();
    get_lock(true);
    leave()
}
#endif

#if defined(SET)
proctype Set(byte me) {
    LOCALS;
    bool ok;
    enter();
    r = PLAIN_RECORD(me);
#ifdef TWIN_STAMP_BEFORE_INSTALL
    byte early = clock;
#endif
    do
    :: !ok ->
        h = head[ITEM_A];
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
        :: else -> install_plain(ITEM_A)
        fi
    :: else -> break
    od;
#ifdef TWIN_STAMP_BEFORE_INSTALL
    t = early;
#endif
    finish_plain(ITEM_A);
    leave()
}
#endif

#if defined(SWEEP)
proctype Tick() { late = true }
#endif

#if defined(SWEEP)
proctype Sweep(byte me) {
    LOCALS;
    bool ok, at;
    enter();
    at = late;
    h = head[ITEM_A];
    effective(READER);
    if
    :: e == h && mortal[e] && at ->
        r = PLAIN_RECORD(me);
        gone[r] = true;
#ifdef TWIN_SWEEP_WHATEVER
        h = head[ITEM_A];
        effective(READER);
        h = e;
#endif
        d_step { if :: head[ITEM_A] == h -> assert(mortal[now_[ITEM_A]]) /* I12 */ :: else fi };
        install_plain(ITEM_A);
        if
        :: ok -> finish_plain(ITEM_A)
        :: else
        fi
    :: else
    fi;
    leave()
}
#endif

#if defined(GET)
proctype Get(byte me) {
    LOCALS;
    byte oldest;
    enter();
    d_step { h = head[ITEM_A]; oldest = place[now_[ITEM_A]] };
    effective(GETTER);
    d_step {
        assert(e == EMPTY || place[e] >= oldest); /* I7 */
        settled_place[ITEM_A] = MAX(settled_place[ITEM_A], place[e]);
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

#define SHOWN(r_, at_) (!gone[r_] && !(mortal[r_] && (at_)))

/* a, b = the records of both items at a snapshot; `at` = the time for expiry, taken after it. */
inline read_snapshot(n_) {
    d_step { oldest_a = settled_place[ITEM_A]; oldest_b = settled_place[ITEM_B] };
    S = clock;
    d_step { if :: clock == S -> clock = S + 1 :: else fi };
#ifndef TWIN_NOW_BEFORE_SNAPSHOT
    at = late;
#endif
    read_at(ITEM_A, a);
    read_at(ITEM_B, b);
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
    assert(!(gone[a] && mortal[prev[a]] && mortal[b]) || deleted_place != 0 || !SHOWN(b, at)) /* I11 */
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
    if :: k_ == ITEM_A -> ea = e :: else -> eb = e fi;
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
    collect(ITEM_B, b);
    collect(ITEM_A, a);
#ifndef TWIN_NOW_BEFORE_SNAPSHOT
    at = late;
#endif
    d_step { instant_a = now_[ITEM_A]; instant_b = now_[ITEM_B] };
#ifndef TWIN_COLLECT_ONCE
    if :: head[ITEM_B] != b -> settled = false :: else fi;
    if :: head[ITEM_A] != a -> settled = false :: else fi;
#endif
#ifdef TWIN_COLLECT_UNSETTLED
    if :: settled -> a = ea; b = eb :: else fi;
#endif
    if
    :: settled ->
        d_step {
            assert(a == instant_a && b == instant_b); /* I10 */
            judge_expiry();
            settled_place[ITEM_A] = MAX(settled_place[ITEM_A], place[a]);
            settled_place[ITEM_B] = MAX(settled_place[ITEM_B], place[b]);
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
            head[n] = n + 1; now_[n] = n + 1; word[n + 1] = 1; place[n + 1] = 1; settled_place[n] = 1; n++
        :: else -> break
        od;
        version[LOCK_A + 1] = 1; newest_version = 1;
#ifdef SWEEP
        mortal[ITEM_A + 1] = true; mortal[ITEM_B + 1] = true;
#endif
        if
        :: LOCK_START == GONE -> gone[LOCK_A + 1] = true
        :: LOCK_START == NONE -> head[LOCK_A] = EMPTY; now_[LOCK_A] = EMPTY; settled_place[LOCK_A] = 0; newest_version = 0
        :: LOCK_START == LIVE
        fi;
        n = 0;
#if TXN > 0
        do
        :: n < TXN -> run Txn(n); n++
        :: else -> break
        od;
#endif
#ifdef DEL
        run Del(P_DEL);
#endif
#ifdef SET
        run Set(P_PLAIN);
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
            assert(place[n] == 0 || next[n] != 0 || !(grave[n] & RETIRED)); /* I13 */
            assert(place[n] != 0 || word[n] == 0 || (grave[n] & RETIRED)); /* I13 */
            n++
        :: else -> break
        od
    }
}
