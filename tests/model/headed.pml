/* SPDX-License-Identifier: MIT
 *
 * Claims of a headed job, how a plain one becomes headed, and acknowledgement and release inside a commit.
 *
 * MODELLED   One job: its word, its head, ready and due entries {from, to}. Every access to a shared word is one step; all
 *            interleavings are searched; each call reads the clock once. A record's number is its identity; a plain word
 *            has a number too once somebody makes an entry for it, which is also that of the record that it becomes: what
 *            several helpers make of one word is the same.
 *              Puller    pull (what has lapsed becomes LAPSED first); then lets the claim lapse or acknowledges, in
 *                        whichever form the job is by then; with -DCHANGE also releases or extends, earlier or later
 *              Inflater  makes the job headed (-DINFLATERS=n)
 *              Admin     releases by key (-DADMINS=n)
 *              Deleter   deletes by key (-DDELETE)
 *              Txn       pull; inflate; one commit: the tombstone and a second key (-DTXN=1); with -DGIVES a release instead
 *                        of the tombstone: another state of the job, whose ready entry goes in before
 *              Locker    get_lock of the key: makes the job headed, and copies its record, under the same identity, with what
 *                        is not modelled here: the lock (-DLOCKERS=n); a set of the key does the same with other bytes
 *            -DBORN_HEADED: a job with an sk. HALTS as in claim.pml, and the last pull comes when all times have passed.
 *            Becoming headed: the word is pinned; the entry; the head is read; the word is read, and if it is not pinned
 *            any more, others have finished; a record over exactly the value that was read; word -> HEADED from exactly
 *            the pinned one. Whoever wants to change a pinned word does this instead. Who has put a tombstone on the head
 *            may make the word DONE.
 *
 * ABSTRACTED Sequentially consistent memory; stamps, snapshots, reclamation, locks (commit.pml); bytes. The bound of what is
 *            plain: a pull finds what has lapsed (claim.pml). The second key has no other writer: conflicts are in
 *            commit.pml. Records that come home: a job's never does.
 *
 * INVARIANTS
 *   I1 .. I5  as in claim.pml
 *   I6  the second key is written iff the commit acknowledged, or released
 *   I7  DONE is final
 *
 * TWINS (-DTWIN_name; each must fail)
 *   HELPS_BLINDLY           the helper does not read the word again, so a delete that came after is undone    I2
 *   WORD_READ_FIRST         the helper reads the word, then the head                                         I2
 *   HEADS_UNPINNED          the word is not pinned                                                           I4
 *   CLAIMS_PINNED           a pull changes a pinned word                                                     I4
 *   REPLACES_EQUAL          the helper replaces another one's record, whose entry goes with it               I5
 *   ENTRY_AFTER_HEADED      the entry is made when the word is HEADED                                        I5
 *   HEADED_BY_STORE         HEADED is stored over whatever the word is                                       I7
 *   TAKES_OUT_SHARED        a release that failed takes its entry out though the word became HEADED          I5
 *   ENTRY_AFTER_SWAP        a claim makes its due entry after its swap                                       I5
 *   REMOVES_FROM            an entry is taken out whose maker has not swapped yet                            I5
 *   DROPS_WHAT_WAITS        a puller with an old time takes out an entry whose `to` is current               I5
 *   INSTALLS_WHATEVER       the tombstone goes over whatever is effective, not over what was judged          I3
 *   ACKNOWLEDGES_WHATEVER   the token is not compared                                                        I3
 *   SECOND_ALONE            the second key's record counts by itself                                         I6
 *   GIVES_UNENTERED         the commit releases, and makes the entry then                                    I5
 *   GIVES_FROM_NOTHING      the entry does not say from which state it comes: a pull takes it out before     I5
 *   GIVES_ABORTED           the release of a commit that was aborted counts                                      I1
 *   LOCK_NEW_IDENTITY       get_lock gives its copy an identity of its own, which has no entry               I5
 *   LOCK_FORGETS_ENTRY      get_lock takes out the entry of what it copied                                   I5
 *   LOCK_COPIES_STALE       get_lock puts its copy over whatever the head is by now                          I2 I5
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
#ifndef LOCKERS
#define LOCKERS 0
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
#define RECORDS 12
#endif

/* A state: phase, receives (0..3; of a plain word only), time (0..15). A plain word may be pinned. */
#define WORD(phase_, receives_, time_) ((phase_) * 64 + (receives_) * 16 + (time_))
#define STATE(w_) ((w_) & 511)
#define PHASE(w_) (STATE(w_) >> 6)
#define RECEIVES(w_) (((w_) >> 4) & 3)
#define TIME(w_) ((w_) & 15)
#define PINNED 512
#define IS_PINNED(w_) ((w_) >= PINNED)
#define READY 1
#define WAITING 2
#define CLAIMED 3
#define HEADED 5
#define DONE 6
#define LAPSED 7
#define IS_PLAIN(w_) (PHASE(w_) == READY || PHASE(w_) == WAITING || PHASE(w_) == CLAIMED || PHASE(w_) == LAPSED)
#define IS_CLAIMED(w_) (PHASE(w_) == CLAIMED || PHASE(w_) == LAPSED)
#define IS_ENTERED(w_) (PHASE(w_) == LAPSED || (PHASE(w_) == WAITING && TIME(w_) == 0))
#define VISIBLE(w_, now_) \
    (PHASE(w_) == READY || PHASE(w_) == LAPSED || ((PHASE(w_) == WAITING || PHASE(w_) == CLAIMED) && TIME(w_) < (now_)))
#ifndef START
#define START WORD(READY, 0, 0)
#endif
#define FAR 14

short word = START;
byte head; /* a record; 0: the plain value, no job */
byte clock = 1;

/* Records 1, 2, ...: each has an identity of its own, which is its number; a copy has that of its original. */
byte used;
short job[RECORDS];   /* its state: a word */
byte token[RECORDS];
byte prev[RECORDS];
bool tomb[RECORDS];
bool plain[RECORDS]; /* stands for the plain word job[] */
byte copy_of[RECORDS]; /* 0: of none */
#define ORIGINAL(r_) (copy_of[r_] != 0 -> copy_of[r_] : (r_))
byte commit[RECORDS]; /* of what a commit has put there; 0: it counts at once */
#define INSTALLING 1
#define COMMITTED 2
#define ABORTED 3
byte second; /* head of the second key: a record (its commit is that of the job's), or 0 */

/* Entries {from, to = the record} */
bool ready[RECORDS], due[RECORDS];
short from[RECORDS];
#define IDENTITY(r_) (plain[ORIGINAL(r_)] -> job[r_] : 1024 + ORIGINAL(r_))
#define GONE 1023
#define NOTHING 1022

/* Ghost state. */
#define NOBODY 15
byte holder = NOBODY;
byte until;
bool acknowledged, by_txn, buried;
byte working, finished;
bool stopped;
#define PLAIN_TOKEN 64

#define LOCALS byte now, h, e, n, r, t, mine, hn, hh; short w, id, d, x, seen, hw; byte blocker; bool ok, won, done

/* A record that was never on the head is taken again. */
inline new_record(n_) { d_step { if :: n_ == 0 -> used++; assert(used < RECORDS); n_ = used :: else fi } }

/* n_ = the number of a plain word */
inline number(n_, w_) {
    d_step {
        n_ = 1;
        do :: n_ <= used && !(plain[n_] && job[n_] == w_) -> n_++ :: else -> break od;
        if
        :: n_ > used ->
            used = n_; assert(used < RECORDS);
            plain[n_] = true; job[n_] = w_; token[n_] = PLAIN_TOKEN + RECEIVES(w_); from[n_] = NOTHING
        :: else
        fi
    }
}

/* The ready entry of a plain word. */
inline forget_plain(w_) {
    d_step {
        if
        :: IS_ENTERED(w_) ->
            hn = 1;
            do :: hn <= used && !(plain[hn] && job[hn] == STATE(w_)) -> hn++ :: else -> break od;
            if :: hn <= used -> ready[hn] = false :: else fi;
            hn = 0
        :: else
        fi
    }
}

/* The entries of a record that was replaced: of the due ones, else of the ready ones. */
inline forget(r_) {
    d_step { ok = due[ORIGINAL(r_)]; due[ORIGINAL(r_)] = false };
    if :: !ok -> ready[ORIGINAL(r_)] = false :: else fi
}

/* The entry of a plain word that was not swapped in, because the word was `seen`. */
#ifdef TWIN_TAKES_OUT_SHARED
#define IS_SHARED false
#else
#define IS_SHARED (PHASE(seen) == HEADED)
#endif
inline withdraw(n_) {
    if
    :: !IS_SHARED && !(IS_PLAIN(seen) && RECEIVES(seen) == RECEIVES(job[n_])) -> ready[n_] = false
    :: else
    fi
}

#ifdef TWIN_GIVES_ABORTED
#define ABORTED_COUNTS(h_) (tomb[h_] -> prev[h_] : (h_))
#else
#define ABORTED_COUNTS(h_) prev[h_]
#endif
/* w = word; if HEADED: h = head, e = the effective record, blocker; id = the identity */
inline look() {
    w = word;
    e = 0; blocker = 0;
    if
    :: PHASE(w) == HEADED ->
        h = head;
        if
        :: commit[h] != 0 ->
            d_step {
                if
                :: commit[h] == INSTALLING -> e = prev[h]; blocker = h; id = IDENTITY(e)
                :: commit[h] == COMMITTED -> e = h; id = (tomb[h] -> GONE : IDENTITY(h))
                :: commit[h] == ABORTED -> e = ABORTED_COUNTS(h); id = IDENTITY(e)
                fi
            }
        :: else -> atomic { e = h; id = IDENTITY(e) }
        fi
    :: else -> id = STATE(w)
    fi
}

inline displace() {
    d_step { if :: commit[blocker] == INSTALLING -> commit[blocker] = ABORTED; blocker = 0 :: else fi }
}

#ifdef TWIN_HEADS_UNPINNED
#define PIN 0
#else
#define PIN PINNED
#endif
#ifdef TWIN_HELPS_BLINDLY
#define IS_STILL_PINNED true
#else
#define IS_STILL_PINNED (word == hw + PIN)
#endif
#ifdef TWIN_HEADED_BY_STORE
#define MAY_BE_HEADED true
#else
#define MAY_BE_HEADED (word == hw + PIN)
#endif
#ifdef TWIN_REPLACES_EQUAL
#define IS_VALUE(r_) true
#else
#define IS_VALUE(r_) (r_ == 0 || tomb[r_])
#endif

inline enter_plain(n_) { if :: TIME(job[n_]) < now -> ready[n_] = true :: else -> due[n_] = true fi }
inline read_head() { d_step { hh = head; if :: commit[hh] != 0 && commit[hh] != COMMITTED -> hh = prev[hh] :: else fi } }

/* The job becomes headed, with the word w that was looked at; or somebody has changed it: look again. */
inline make_headed() {
    hw = STATE(w);
    d_step {
        ok = IS_PINNED(w) || word == hw || word == hw + PINNED;
        if :: !IS_PINNED(w) && word == hw -> word = hw + PIN :: else fi
    };
    if
    :: ok ->
        number(hn, hw);
#ifndef TWIN_ENTRY_AFTER_HEADED
        enter_plain(hn);
#endif
#ifdef TWIN_WORD_READ_FIRST
        ok = IS_STILL_PINNED;
        read_head();
#else
        read_head();
        ok = IS_STILL_PINNED;
#endif
        if
        :: ok ->
            if
            :: IS_VALUE(hh) ->
                d_step { ok = (head == hh); if :: ok -> head = hn; prev[hn] = (hh == hn -> prev[hn] : hh) :: else fi };
                if :: ok && hh != 0 && !tomb[hh] -> forget(hh) :: else fi
            :: else
            fi;
            d_step { if :: MAY_BE_HEADED -> word = WORD(HEADED, 0, 0) :: else fi };
#ifdef TWIN_ENTRY_AFTER_HEADED
            enter_plain(hn)
#endif
        :: else
        fi
    :: else
    fi;
    atomic { hw = 0; hn = 0; hh = 0; ok = false }
}

/* In the only step that changes a plain word: from w, not pinned. */
#ifdef TWIN_CLAIMS_PINNED
#define MUST_HELP(w_) false
#else
#define MUST_HELP(w_) IS_PINNED(w_)
#endif

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
#define IS_FROM(r_) \
    (id == from[r_] || (plain[r_] && id < PINNED && IS_PLAIN(id) && RECEIVES(id) == RECEIVES(job[r_])))
#endif

#ifdef TWIN_DROPS_WHAT_WAITS
#define LEAVES_WHAT_WAITS false
#else
#define LEAVES_WHAT_WAITS true
#endif

/* A plain job: w, visible. */
inline claim_plain(last_) {
    if
    :: MUST_HELP(w) -> make_headed()
    :: else ->
        d_step {
            d = (last_ -> 15 : now + 1);
            ok = (word == w);
            if
            :: ok -> word = WORD(CLAIMED, RECEIVES(w) + 1, d); claimed_by_me(PLAIN_TOKEN + RECEIVES(w) + 1, d)
            :: else
            fi
        };
        if :: ok -> forget_plain(w) :: else fi
    fi
}

/* One entry that has come up: r. */
inline judge(last_) {
    look();
    if
    :: id == IDENTITY(r) && VISIBLE(job[r], now) && PHASE(w) != HEADED -> claim_plain(last_)
    :: id == IDENTITY(r) && VISIBLE(job[r], now) && PHASE(w) == HEADED ->
        if :: blocker != 0 -> displace() :: else fi;
        if
        :: blocker == 0 ->
            new_record(n);
            atomic {
                d = (last_ -> 15 : now + 1);
                job[n] = WORD(CLAIMED, 0, d); token[n] = n; prev[n] = e; from[n] = id
            };
#ifndef TWIN_ENTRY_AFTER_SWAP
            due[n] = true;
#endif
            d_step {
                ok = (head == h);
                if :: ok -> head = n; claimed_by_me(n, d) :: else fi
            };
            if :: ok -> AFTER_SWAP; n = 0; forget(e) :: else -> due[n] = false fi
        :: else
        fi
    :: id == IDENTITY(r) && !VISIBLE(job[r], now) && LEAVES_WHAT_WAITS -> break
    :: id != IDENTITY(r) && IS_FROM(r) -> break
    :: else -> ready[r] = false
    fi
}

/* r = the next entry that is_one; RECORDS: none. */
inline next_entry(is_one) {
    d_step {
        r++;
        do :: r <= used && !(is_one) -> r++ :: else -> break od;
        if :: r > used -> r = RECORDS :: else fi;
        w = 0; e = 0; h = 0; id = 0; d = 0; ok = false; blocker = 0
    }
}

inline pull(last_) {
    now = clock;
    w = word; /* plain: claim.pml shows that a pull comes here */
    if
    :: PHASE(w) == CLAIMED && TIME(w) < now && IS_PINNED(w) -> make_headed()
    :: PHASE(w) == CLAIMED && TIME(w) < now && !IS_PINNED(w) ->
        x = WORD(LAPSED, RECEIVES(w), TIME(w));
        number(n, x);
        ready[n] = true;
        d_step { seen = word; ok = (seen == w); if :: ok -> word = x :: else fi };
        if :: !ok -> withdraw(n) :: else fi;
        atomic { n = 0; x = 0; seen = 0; ok = false }
    :: else
    fi;
    r = 0;
    next_entry(due[r] && TIME(job[r]) < now);
    do
    :: r < RECORDS ->
        look();
        if
        :: id == IDENTITY(r) -> ready[r] = true; due[r] = false
        :: id != IDENTITY(r) && IS_FROM(r)
        :: else -> due[r] = false
        fi;
        next_entry(due[r] && TIME(job[r]) < now)
    :: else -> break
    od;
    w = word;
    do
    :: !won && PHASE(w) == READY -> claim_plain(last_); w = word /* at the head segment */
    :: else -> break
    od;
    r = 0;
    next_entry(ready[r]);
    do
    :: r < RECORDS && !won ->
        do
        :: ready[r] && !won -> judge(last_)
        :: else -> break
        od;
        next_entry(ready[r])
    :: else -> break
    od;
    atomic { w = 0; id = 0; r = 0; h = 0; e = 0; blocker = 0; d = 0; n = 0; now = 0; ok = false }
}

inline inflate() {
    w = word;
    do
    :: PHASE(w) == HEADED || PHASE(w) == DONE -> break
    :: else -> make_headed(); w = word
    od;
    w = 0
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

#ifdef TWIN_GIVES_UNENTERED
#define ENTERS_FIRST false
#else
#define ENTERS_FIRST true
#endif
#ifdef TWIN_GIVES_FROM_NOTHING
#define GIVEN_FROM NOTHING
#else
#define GIVEN_FROM id
#endif

/* Under a commit a tombstone, or (gives) a state that waits; with the second key or alone; mine is the token. */
inline commit_headed(both, by_key, gives) {
    done = false; t = 0;
    do
    :: !done && t <= ATTEMPTS ->
        look();
        if
        :: PHASE(w) != HEADED || tomb[e] || (!by_key && (!IS_CLAIMED(job[e]) || NOT_MINE(e))) ->
            atomic { assert(holder != me); /* I4 */ done = true }
        :: else ->
            if :: blocker != 0 -> displace() :: else fi;
            if
            :: blocker == 0 ->
                new_record(n);
                atomic {
                    tomb[n] = !gives; commit[n] = INSTALLING; prev[n] = e;
                    if :: gives -> job[n] = WORD(WAITING, 0, 0); token[n] = mine; from[n] = GIVEN_FROM :: else fi
                };
                if :: gives && ENTERS_FIRST -> ready[n] = true :: else fi;
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
                            assert(by_key || holder == me); /* I3 */
                            assert(by_key || TIME(job[e]) == until); /* I4 */
                            acknowledged = !gives; holder = NOBODY; done = true; by_txn = by_txn || both
                        :: else
                        fi
                    };
                    if
                    :: !done && both -> UNDO_SECOND
                    :: else
                    fi;
                    if
                    :: !done ->
                        atomic { if :: head == n -> head = prev[n] :: else fi; t++ };
                        if :: gives -> ready[n] = false :: else fi;
                        n = 0
                    :: else ->
                        forget(e);
                        if
                        :: gives && ENTERS_FIRST
                        :: gives && !ENTERS_FIRST -> ready[n] = true
                        :: !gives -> d_step { assert(PHASE(word) == HEADED); /* I7 */ word = WORD(DONE, 0, 0); buried = true }
                        :: !gives
                        fi
                    fi
                :: else ->
                    if :: gives -> ready[n] = false :: else fi;
                    if :: both -> second = 0 :: else fi
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
    now = clock;
    do
    :: !done ->
        w = word;
        if
        :: PHASE(w) == HEADED -> break
        :: IS_CLAIMED(w) && PLAIN_TOKEN + RECEIVES(w) == mine && IS_PINNED(w) -> make_headed()
        :: IS_CLAIMED(w) && PLAIN_TOKEN + RECEIVES(w) == mine && !IS_PINNED(w) ->
            d_step {
                if
                :: word == w ->
                    assert(!acknowledged); /* I2 */
                    assert(holder == me); /* I3 */
                    assert(TIME(w) == until); /* I4 */
                    word = WORD(DONE, 0, 0); acknowledged = true; holder = NOBODY; done = true; buried = true
                :: else
                fi
            };
            if :: done -> forget_plain(w) :: else fi
        :: else -> atomic { assert(holder != me); /* I4 */ done = true }
        fi
    :: else -> break
    od;
    if
    :: !done -> commit_headed(false, false, false)
    :: else
    fi;
    atomic { done = false; w = 0; now = 0 }
}

/* Release (gives) or extend. A word would come twice, or its time move forward: the job becomes headed. */
#define EXTENDED (now + 2)
#define IS_UNSTEADY(w_) (PHASE(w_) == WAITING || (!gives_ && (EXTENDED < TIME(w_) || (PHASE(w_) == LAPSED && EXTENDED == TIME(w_)))))
inline change_plain(gives_, by_key) {
    if
    :: !(by_key || (IS_CLAIMED(w) && PLAIN_TOKEN + RECEIVES(w) == mine)) ->
        atomic { assert(holder != me); /* I4 */ done = true }
    :: else ->
        if
        :: !gives_ && PHASE(w) == CLAIMED && TIME(w) == EXTENDED -> done = true
        :: else ->
            if
            :: IS_PINNED(w) || IS_UNSTEADY(w) -> make_headed()
            :: else ->
                x = (gives_ -> WORD(WAITING, RECEIVES(w), 0) : WORD(CLAIMED, RECEIVES(w), EXTENDED));
                if :: gives_ -> number(n, x); ready[n] = true :: else fi;
                d_step {
                    seen = word;
                    ok = (seen == w);
                    if
                    :: ok ->
                        word = x;
                        assert(by_key || holder == me); /* I3 */
                        done = true;
                        if :: gives_ -> holder = NOBODY :: else -> until = EXTENDED fi
                    :: else
                    fi
                };
                if
                :: ok -> forget_plain(w)
                :: else -> if :: gives_ -> withdraw(n) :: else fi
                fi;
                atomic { n = 0; x = 0; seen = 0 }
            fi
        fi
    fi
}

inline change(gives, by_key) {
    now = clock;
    done = false;
    do
    :: !done ->
        look();
        if
        :: PHASE(w) == DONE -> atomic { assert(holder != me); /* I4 */ done = true }
        :: PHASE(w) != HEADED && PHASE(w) != DONE -> change_plain(gives, by_key)
        :: PHASE(w) == HEADED && (tomb[e] || (!by_key && (!IS_CLAIMED(job[e]) || token[e] != mine))) ->
            atomic { assert(holder != me); /* I4 */ done = true }
        :: else ->
            if :: blocker != 0 -> displace() :: else fi;
            if
            :: blocker == 0 ->
                new_record(n);
                atomic {
                    job[n] = (gives -> WORD(WAITING, 0, 0) : WORD(CLAIMED, 0, EXTENDED));
                    token[n] = mine; prev[n] = e; from[n] = id
                };
                if :: gives -> ready[n] = true :: else -> due[n] = true fi;
                d_step {
                    ok = (head == h);
                    if
                    :: ok ->
                        head = n;
                        assert(by_key || holder == me); /* I3 */
                        done = true;
                        if :: gives -> holder = NOBODY :: else -> until = EXTENDED fi
                    :: else
                    fi
                };
                if :: !ok -> ready[n] = false; due[n] = false :: else -> n = 0; forget(e) fi
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
        :: change(true, false)
        :: change(false, false)
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

#ifdef ADMINS
proctype Admin(byte me) provided (!stopped) {
    LOCALS;
    change(true, true);
    finished++
}
#endif

#ifdef DELETE
proctype Deleter(byte me) provided (!stopped) {
    LOCALS;
    now = clock;
    inflate();
    commit_headed(false, true, false);
    atomic { finished++; now = 0 }
}
#endif

#ifdef GIVES
#define GIVES_IN_TXN true
#else
#define GIVES_IN_TXN false
#endif
#if TXN > 0
proctype Txn(byte me) provided (!stopped) {
    LOCALS;
    pull(false);
    if
    :: won -> now = clock; inflate(); commit_headed(true, false, GIVES_IN_TXN)
    :: else
    fi;
    atomic { finished++; won = false; mine = 0; now = 0 }
}
#endif

#if LOCKERS > 0
proctype Locker(byte me) provided (!stopped) {
    LOCALS;
    now = clock;
    inflate();
    do
    :: !done ->
        look();
        if
        :: PHASE(w) != HEADED || tomb[e] -> done = true /* no job any more */
        :: else ->
            if :: blocker != 0 -> displace() :: else fi;
            if
            :: blocker == 0 ->
                new_record(n);
                atomic { job[n] = job[e]; token[n] = token[e]; copy_of[n] = ORIGINAL(e); prev[n] = e };
#ifdef TWIN_LOCK_NEW_IDENTITY
                copy_of[n] = 0;
#endif
#ifdef TWIN_LOCK_COPIES_STALE
                h = head;
#endif
                d_step { done = (head == h); if :: done -> head = n :: else fi };
#ifdef TWIN_LOCK_FORGETS_ENTRY
                if :: done -> forget(e) :: else fi
#endif
            :: else
            fi
        fi
    :: else -> break
    od;
    atomic { finished++; done = false; w = 0; h = 0; n = 0; ok = false; e = 0; id = 0; blocker = 0; now = 0 }
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
        word = WORD(HEADED, 0, 0); used = 1; head = 1; job[1] = WORD(READY, 0, 0); ready[1] = true; from[1] = NOTHING;
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
#if LOCKERS > 0
        do :: n < LOCKERS -> run Locker(12 + n); working++; n++ :: else -> break od;
        n = 0;
#endif
#ifdef ADMINS
        do :: n < ADMINS -> run Admin(10 + n); working++; n++ :: else -> break od;
        n = 0;
#endif
#ifdef DELETE
        run Deleter(9); working++;
#endif
    }
    atomic {
        finished + HALTS >= working;
        stopped = true;
        holder = NOBODY;
        clock = FAR;
        pull(true);
        assert(won == !acknowledged); /* I5 */
        assert(SECOND_WRITTEN == by_txn); /* I6 */
        assert(!buried || PHASE(word) == DONE) /* I7 */
    };
    do :: stopped od
}
