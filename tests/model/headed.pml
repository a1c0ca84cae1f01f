/* SPDX-License-Identifier: MIT
 *
 * Claims of a headed job, how a plain one becomes headed, and the acknowledgement inside a commit.
 *
 * MODELLED   One job: its word, its head, ready and due entries {from, to}. Every access to a shared word is one step; all
 *            interleavings are searched; each call reads the clock once. A record's number is its identity.
 *              Puller    pull; then lets the claim lapse or acknowledges, in whichever form the job is by then; with
 *                        -DCHANGE also releases or extends a headed one
 *              Inflater  makes the job headed (-DINFLATERS=n)
 *              Txn       pull; inflate; one commit: the tombstone and a second key (-DTXN=1)
 *            -DBORN_HEADED: a job with an sk. HALTS as in claim.pml, and the last pull comes when all times have passed.
 *            Inflation: read the head, THEN the word. A record on the head that carries this very word is not replaced,
 *            it is used. Else a new record: its entry first, then the swap of the head, then word -> HEADED from the
 *            word that was read.
 *
 * ABSTRACTED Sequentially consistent memory; stamps, snapshots, reclamation (commit.pml); bytes and lk_set. A visible plain
 *            job is found (claim.pml). The second key has no other writer: conflicts are in commit.pml.
 *
 * INVARIANTS
 *   I1 .. I5  as in claim.pml
 *   I6  the second key is written iff the commit acknowledged
 *
 * TWINS (-DTWIN_name; each must fail)
 *   WORD_READ_FIRST         inflation reads the word, then the head                                          I4
 *   REPLACES_EQUAL          inflation replaces a record that carries the very state                          I5
 *   ENTRY_AFTER_RECORD      inflation puts its record on the head, then makes the entry                      I5
 *   HEADED_BY_STORE         HEADED is stored over whatever the word is                                       I4
 *   ENTRY_AFTER_SWAP        a claim makes its due entry after its swap                                       I5
 *   REMOVES_FROM            an entry is taken out whose maker has not swapped yet                            I5
 *   INSTALLS_WHATEVER       the tombstone goes over whatever is effective, not over what was judged          I3
 *   ACKNOWLEDGES_WHATEVER   the token is not compared                                                        I3
 *   SECOND_ALONE            the second key's record counts by itself                                         I6
 */

#ifndef PULLERS
#define PULLERS 2
#endif
#ifndef TXN
#define TXN 0
#endif
#ifndef INFLATERS
#define INFLATERS 0
#endif
#ifndef LAST
#define LAST 3
#endif
#ifndef HALTS
#define HALTS 1
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 1
#endif
#ifndef RECORDS
#define RECORDS 10
#endif

/* A state: phase, time (0..15); a plain word adds receives (0..3). */
#define WORD(phase_, receives_, time_) ((phase_) * 64 + (receives_) * 16 + (time_))
#define PHASE(w_) ((w_) >> 6)
#define RECEIVES(w_) (((w_) >> 4) & 3)
#define TIME(w_) ((w_) & 15)
#define READY 1
#define WAITING 2
#define CLAIMED 3
#define HEADED 5
#define DONE 6
#define VISIBLE(w_, now_) (PHASE(w_) == READY || ((PHASE(w_) == WAITING || PHASE(w_) == CLAIMED) && TIME(w_) < (now_)))
#ifndef START
#define START WORD(READY, 0, 0)
#endif
#define FAR 14

short word = START;
byte head; /* a record; 0: the one with the bytes, no job */
byte clock = 1;

/* Records 1, 2, ...: each has an identity of its own, which is its number. */
byte used;
short job[RECORDS];   /* its state: a word */
byte token[RECORDS];
byte prev[RECORDS];
bool tomb[RECORDS];
byte commit[RECORDS]; /* of a tombstone */
#define INSTALLING 1
#define COMMITTED 2
#define ABORTED 3
byte second; /* head of the second key: a record (its commit is that of the tombstone), or 0 */

/* Entries {from, to = the record} */
bool ready[RECORDS], due[RECORDS];
short from[RECORDS];
#define IDENTITY(r_) (512 + (r_))
#define GONE 511

/* Ghost state. */
#define NOBODY 15
byte holder = NOBODY;
byte until;
bool acknowledged, by_txn;
byte working, finished;
bool stopped;
#define PLAIN_TOKEN 64

#define LOCALS byte now, h, e, n, r, t, mine; short w, id, d; byte blocker; bool ok, won, done

/* A record that was never on the head is taken again. */
inline new_record(n_) { d_step { if :: n_ == 0 -> used++; assert(used < RECORDS); n_ = used :: else fi } }

/* w = word; if HEADED: h = head, e = the effective record, blocker; id = the identity */
inline look() {
    w = word;
    e = 0; blocker = 0;
    if
    :: PHASE(w) == HEADED ->
        h = head;
        if
        :: tomb[h] ->
            d_step {
                if
                :: commit[h] == INSTALLING -> e = prev[h]; blocker = h; id = IDENTITY(e)
                :: commit[h] == COMMITTED -> e = h; id = GONE
                :: commit[h] == ABORTED -> e = prev[h]; id = IDENTITY(e)
                fi
            }
        :: else -> atomic { e = h; id = IDENTITY(e) }
        fi
    :: else -> id = w
    fi
}

inline displace() {
    d_step { if :: commit[blocker] == INSTALLING -> commit[blocker] = ABORTED; blocker = 0 :: else fi }
}

inline claimed_by_me(t_, d_) {
    assert(holder == NOBODY || until < clock); /* I1 */
    assert(!acknowledged); /* I2 */
    holder = me; until = d_; mine = t_; won = true
}

#ifdef TWIN_ENTRY_AFTER_SWAP
#define AFTER_SWAP due[n] = true
#else
#define AFTER_SWAP skip
#endif
#ifdef TWIN_REMOVES_FROM
#define IS_FROM(r_) false
#else
#define IS_FROM(r_) (id == from[r_])
#endif

/* One entry that has come up: r. */
inline judge(last_) {
    look();
    if
    :: id == IDENTITY(r) && VISIBLE(job[r], now) ->
        if :: blocker != 0 -> displace() :: else fi;
        if
        :: blocker == 0 ->
            new_record(n);
            atomic {
                d = (last_ -> 15 : now + 1);
                job[n] = WORD(CLAIMED, 0, d); token[n] = n; prev[n] = r; from[n] = IDENTITY(r)
            };
#ifndef TWIN_ENTRY_AFTER_SWAP
            due[n] = true;
#endif
            d_step {
                ok = (head == h);
                if :: ok -> head = n; claimed_by_me(n, d) :: else fi
            };
            if :: ok -> AFTER_SWAP; n = 0; ready[r] = false :: else -> due[n] = false fi
        :: else
        fi
    :: id == IDENTITY(r) && !VISIBLE(job[r], now) -> break
    :: id != IDENTITY(r) && IS_FROM(r) -> break
    :: else -> ready[r] = false
    fi
}

inline pull(last_) {
    now = clock;
    look();
    do
    :: !won && PHASE(w) != HEADED && VISIBLE(w, now) -> /* plain: claim.pml shows that it is found */
        d_step {
            d = (last_ -> 15 : now + 1);
            if
            :: word == w -> word = WORD(CLAIMED, RECEIVES(w) + 1, d); claimed_by_me(PLAIN_TOKEN + RECEIVES(w) + 1, d)
            :: else
            fi
        };
        look()
    :: else -> break
    od;
    r = 1;
    do
    :: r < RECORDS && due[r] && TIME(job[r]) < now ->
        look();
        if
        :: id == IDENTITY(r) -> ready[r] = true; due[r] = false
        :: id != IDENTITY(r) && IS_FROM(r)
        :: else -> due[r] = false
        fi;
        r++
    :: r < RECORDS && !(due[r] && TIME(job[r]) < now) -> r++
    :: else -> break
    od;
    r = 1;
    do
    :: r < RECORDS && ready[r] && !won ->
        do
        :: ready[r] && !won -> judge(last_)
        :: else -> break
        od;
        r++
    :: r < RECORDS && !ready[r] && !won -> r++
    :: else -> break
    od;
    atomic { w = 0; id = 0; r = 0; h = 0; e = 0; blocker = 0; d = 0; n = 0; now = 0; ok = false }
}

inline enter_for(n_, w_) {
    if
    :: VISIBLE(w_, now) -> ready[n_] = true
    :: else -> due[n_] = true
    fi
}

#ifdef TWIN_HEADED_BY_STORE
#define IS_STILL(w_) true
#else
#define IS_STILL(w_) (word == (w_))
#endif

inline inflate() {
    done = false;
    do
    :: !done ->
#ifdef TWIN_WORD_READ_FIRST
        w = word; h = head;
#else
        h = head; w = word;
#endif
        if
        :: PHASE(w) == HEADED || PHASE(w) == DONE -> done = true
#ifndef TWIN_REPLACES_EQUAL
        :: PHASE(w) != HEADED && PHASE(w) != DONE && h != 0 && job[h] == w && !tomb[h] ->
            d_step { if :: IS_STILL(w) -> word = WORD(HEADED, 0, 0) :: else fi }
        :: PHASE(w) != HEADED && PHASE(w) != DONE && !(h != 0 && job[h] == w && !tomb[h]) ->
#else
        :: else ->
#endif
            new_record(n);
            atomic { job[n] = w; token[n] = PLAIN_TOKEN + RECEIVES(w); from[n] = w };
#ifndef TWIN_ENTRY_AFTER_RECORD
            enter_for(n, w);
#endif
            d_step { ok = (head == h); if :: ok -> head = n :: else fi };
            if
            :: ok ->
#ifdef TWIN_ENTRY_AFTER_RECORD
                enter_for(n, w);
#endif
                atomic { if :: IS_STILL(w) -> word = WORD(HEADED, 0, 0) :: else fi; n = 0 }
            :: else -> atomic { ready[n] = false; due[n] = false }
            fi
        fi
    :: else -> break
    od;
    atomic { done = false; w = 0; h = 0; n = 0; ok = false }
}

#ifdef TWIN_SECOND_ALONE
#define SECOND_WRITTEN (second != 0)
#define UNDO_SECOND skip
#else
#define SECOND_WRITTEN (second != 0 && commit[second] == COMMITTED)
#define UNDO_SECOND second = 0
#endif
#ifdef TWIN_ACKNOWLEDGES_WHATEVER
#define NOT_MINE(r_) false
#else
#define NOT_MINE(r_) (token[r_] != mine)
#endif

/* Tombstone under a commit, with the second key or alone; mine is the token. */
inline acknowledge_headed(both) {
    done = false; t = 0;
    do
    :: !done && t <= ATTEMPTS ->
        look();
        if
        :: PHASE(w) != HEADED || tomb[e] || PHASE(job[e]) != CLAIMED || NOT_MINE(e) ->
            atomic { assert(holder != me); /* I4 */ done = true }
        :: else ->
            if :: blocker != 0 -> displace() :: else fi;
            if
            :: blocker == 0 ->
                new_record(n);
                atomic { tomb[n] = true; commit[n] = INSTALLING; prev[n] = e };
#ifdef TWIN_INSTALLS_WHATEVER
                look();
                if :: blocker != 0 -> displace() :: else fi;
                prev[n] = e;
#endif
                if :: both -> second = n :: else fi;
                d_step { ok = (head == h); if :: ok -> head = n :: else fi };
                if
                :: ok ->
                    d_step {
                        if
                        :: commit[n] == INSTALLING ->
                            commit[n] = COMMITTED;
                            assert(head == n && !acknowledged); /* I2 */
                            assert(holder == me); /* I3 */
                            acknowledged = true; holder = NOBODY; done = true; by_txn = both
                        :: else
                        fi
                    };
                    if
                    :: !done && both -> UNDO_SECOND
                    :: else
                    fi;
                    if
                    :: !done -> atomic { if :: head == n -> head = prev[n] :: else fi; t++; n = 0 }
                    :: else
                    fi
                :: else -> if :: both -> second = 0 :: else fi
                fi
            :: else
            fi
        fi
    :: else -> break
    od;
    atomic { done = false; w = 0; h = 0; n = 0; ok = false; e = 0; id = 0; blocker = 0; t = 0 }
}

inline acknowledge() {
    done = false;
    do
    :: !done ->
        w = word;
        if
        :: PHASE(w) == HEADED -> break
        :: PHASE(w) == CLAIMED && PLAIN_TOKEN + RECEIVES(w) == mine ->
            d_step {
                if
                :: word == w ->
                    assert(!acknowledged); /* I2 */
                    assert(holder == me); /* I3 */
                    word = WORD(DONE, 0, 0); acknowledged = true; holder = NOBODY; done = true
                :: else
                fi
            }
        :: else -> atomic { assert(holder != me); /* I4 */ done = true }
        fi
    :: else -> break
    od;
    if
    :: !done -> acknowledge_headed(false)
    :: else
    fi;
    atomic { done = false; w = 0 }
}

/* Release (gives) or extend of a headed job. */
inline change(gives) {
    now = clock;
    done = false;
    do
    :: !done ->
        look();
        if
        :: PHASE(w) != HEADED -> done = true /* plain: claim.pml */
        :: PHASE(w) == HEADED && (tomb[e] || PHASE(job[e]) != CLAIMED || token[e] != mine) ->
            atomic { assert(holder != me); /* I4 */ done = true }
        :: else ->
            if :: blocker != 0 -> displace() :: else fi;
            if
            :: blocker == 0 ->
                new_record(n);
                atomic {
                    job[n] = (gives -> WORD(WAITING, 0, now - 1) : WORD(CLAIMED, 0, now + 2));
                    token[n] = mine; prev[n] = e; from[n] = IDENTITY(e)
                };
                if :: gives -> ready[n] = true :: else -> due[n] = true fi;
                d_step {
                    ok = (head == h);
                    if
                    :: ok ->
                        head = n;
                        assert(holder == me); /* I3 */
                        done = true;
                        if :: gives -> holder = NOBODY :: else -> until = now + 2 fi
                    :: else
                    fi
                };
                if :: !ok -> ready[n] = false; due[n] = false :: else -> n = 0 fi
            :: else
            fi
        fi
    :: else -> break
    od;
    atomic { done = false; w = 0; h = 0; n = 0; ok = false; e = 0; id = 0; blocker = 0; now = 0; d = 0 }
}

proctype Puller(byte me) provided (!stopped) {
    LOCALS;
    pull(false);
    if
    :: won ->
        if
        :: true
        :: acknowledge()
#ifdef CHANGE
        :: change(true)
        :: change(false)
#endif
        fi
    :: else
    fi;
    atomic { finished++; won = false; mine = 0 }
}

#if INFLATERS > 0
proctype Inflater(byte me) provided (!stopped) {
    LOCALS;
    now = clock;
    inflate();
    atomic { finished++; now = 0 }
}
#endif

#if TXN > 0
proctype Txn(byte me) provided (!stopped) {
    LOCALS;
    pull(false);
    if
    :: won -> now = clock; inflate(); acknowledge_headed(true)
    :: else
    fi;
    atomic { finished++; won = false; mine = 0; now = 0 }
}
#endif

proctype Clock() provided (!stopped) {
end:
    do
    :: clock < LAST -> clock++
    od
}

init {
    LOCALS;
    byte me = 7;
    atomic {
#ifdef BORN_HEADED
        word = WORD(HEADED, 0, 0); used = 1; head = 1; job[1] = WORD(READY, 0, 0); ready[1] = true; from[1] = GONE;
#endif
        run Clock();
        n = 0;
        do :: n < PULLERS -> run Puller(n); working++; n++ :: else -> break od;
        n = 0;
#if INFLATERS > 0
        do :: n < INFLATERS -> run Inflater(3 + n); working++; n++ :: else -> break od;
        n = 0;
#endif
#if TXN > 0
        run Txn(6); working++;
#endif
    }
    atomic {
        finished + HALTS >= working;
        stopped = true;
        holder = NOBODY;
        clock = FAR;
        pull(true);
        assert(won == !acknowledged); /* I5 */
        assert(SECOND_WRITTEN == by_txn) /* I6 */
    };
    do :: stopped od
}
