/* SPDX-License-Identifier: MIT
 *
 * Heads, records and commits of commit.pml, which includes this file: what is effective, what takes effect, how a plain
 * record gets in, what a record carries over. The labels are those of its invariants, the twins are listed there.
 */

#define A 0
#define B 1
#define HEADS 2

#define EMPTY 0      /* no record; records are 1, 2, ... */
#define INSIDE (A + 1) /* the first record of A, in the room */
#define HOMED(n) (3 + (n)) /* the copies that come there */
#define FIRST_FREE HOMED(HOME)
#define NO_COMMIT 99
#define COMMIT 32    /* a record's word: 0, a stamp (1..31), or COMMIT + number of its commit */
#define INSTALLING 0 /* a commit's state: INSTALLING, READY, ABORTED, or a stamp */
#define READY 30
#define ABORTED 31

/* Process numbers, their records and commits. Each attempt of a commit has two records and one commit of its own. */
#define P_PUT TXN
#define P_DEL COMMITTERS
#define P_SET (COMMITTERS + 1)
#define P_RENEW (COMMITTERS + 2)
#define P_SWEEP (COMMITTERS + 3)
#define P_READ (COMMITTERS + 4)  /* Get or Snap */
#define P_READ2 (COMMITTERS + 5) /* Many */
#define P_HOME (COMMITTERS + 6)
#define ATTEMPT_RECORD(p, a) (FIRST_FREE + ((p) * ATTEMPTS + (a)) * HEADS)
#define PLAIN_RECORD(p) (FIRST_FREE + COMMITTERS * ATTEMPTS * HEADS + (p))
#define RECORDS (FIRST_FREE + COMMITTERS * (ATTEMPTS * HEADS + 1) + 4)
#define COMMITS (COMMITTERS * ATTEMPTS + 1)

byte head[HEADS];
byte word[RECORDS];
byte prev[RECORDS];
byte item[RECORDS];    /* which write the item is of: the number of its record; 0: there is no item */
byte version[RECORDS]; /* of the lock, 0: there is none; of a tombstone: the last one */
bool tomb[RECORDS];
bool mortal[RECORDS];  /* the item expires when `late` becomes true */
byte state[COMMITS];
byte clock = 2;
byte floor;            /* of the shard's versions */
bool late = false;

/* Ghost state. */
short sections;          /* bit p: process p is in a section */
short grave[RECORDS];    /* RETIRED; bit p: process p was in a section then, and still is */
short commit_grave[COMMITS];
#define RETIRED 4096
byte now_[HEADS];        /* record in effect */
byte place[RECORDS];     /* number of its effect on its head, from 1; 0: never took effect */
byte next[RECORDS];      /* record that took effect after it */
bool fresh[RECORDS];     /* brings a new version */
bool lapsed[RECORDS];    /* has no item because that had expired */
byte settled_place[HEADS]; /* highest place that some finished call has written or returned */
byte deleted_place;      /* place of the last record that took the item, or the lock, of A away */
byte newest_version;
byte copied[HOME + 1];   /* the records of which copies came home, */
bool moved[RECORDS];     /* and which those are */
byte read_S[2];          /* results of snapshots, judged in the end */
byte read_A[2];
byte read_B[2];

#define BIT(p) (1 << (p))
#define FREED(grave_) (((grave_) & RETIRED) && !((grave_) & BIT(me)))
#define USE(r) assert(!FREED(grave[r])) /* I1 */
#define USE_COMMIT(c_) assert(!FREED(commit_grave[c_])) /* I1 */
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define IS_OVER(r, at_) (tomb[r] || (mortal[r] && (at_))) /* with the lock, if any */
#define LOCK_OF(r, at_) (IS_OVER(r, at_) -> 0 : version[r])
#define ABSENT(r) ((r) == EMPTY || tomb[r])

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
    if
    :: k_ == A && fresh[r_] ->
        assert(version[r_] > newest_version); /* I3 */
        newest_version = version[r_];
        assert(item[r_] == r_ || item[r_] == item[now_[A]] || lapsed[r_]) /* I14 */
    :: k_ == A && !fresh[r_] && !tomb[r_] ->
        assert(version[r_] == LOCK_OF(now_[A], false) || (version[r_] == 0 && IS_OVER(now_[A], late))) /* I14 */
    :: else
    fi;
    place[r_] = place[now_[k_]] + 1;
    if
    :: k_ == A && !fresh[r_] && (item[r_] == 0 && item[now_[A]] != 0 || version[r_] == 0 && version[now_[A]] != 0) ->
        deleted_place = place[r_]
    :: else
    fi;
    next[now_[k_]] = r_;
#if HOME > 0
    if :: now_[k_] >= HOMED(0) && now_[k_] < FIRST_FREE -> next[copied[now_[k_] - HOMED(0)]] = r_ :: else fi;
#endif
    now_[k_] = r_
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

/* The CAS of a plain write: record r from h over e on the head of A; ok says whether it went in. */
inline install_plain() {
    d_step {
        prev[r] = e;
        if :: h != EMPTY -> USE(h) :: else fi;
        if
        :: head[A] == h -> head[A] = r; ok = true; takes_effect(A, r)
        :: else
        fi
    }
}

/* What follows it: stamp, retire prev. */
inline finish_plain() {
#ifndef TWIN_STAMP_BEFORE_INSTALL
    t = clock;
#endif
    d_step { if :: word[r] == 0 -> word[r] = t :: else fi; t = 0 };
    retire(prev[r]);
    d_step { settled_place[A] = MAX(settled_place[A], place[r]) }
}

/* Before the swap of what has no lock over what is over: its version would be lost. */
#ifdef TWIN_EXPIRED_IGNORES_FLOOR
#define RAISES_FLOOR tomb[e]
#else
#define RAISES_FLOOR IS_OVER(e, at)
#endif
inline raise_floor() {
    if
    :: RAISES_FLOOR -> d_step { USE(e); floor = MAX(floor, version[e]) }
    :: else
    fi
}

/* Record r_, which brings a new version: a copy of the item of e_, unless that has expired. */
inline copy_item(r_, e_) {
    if :: e_ != EMPTY -> USE(e_) :: else fi;
    item[r_] = (mortal[e_] && at -> 0 : item[e_]);
    mortal[r_] = mortal[e_] && !at;
    lapsed[r_] = lapsed[e_] || (mortal[e_] && at);
    fresh[r_] = true
}
