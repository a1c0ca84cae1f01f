/* SPDX-License-Identifier: MIT
 *
 * Claims of a plain job: its word, the bound of its segment, its ready entries, time. headed.pml has the rest.
 *
 * MODELLED   One slot. Every access to a shared word is one step; a compare-and-swap, and a change of the set of entries, is
 *            one step; all interleavings are searched. Each call reads the clock once, at its start, so that it may act on
 *            an old time. The bound starts at 0 where other slots have lowered it (-DBOUND_START=0).
 *              Puller    pull (tends first); then lets the claim lapse, or acknowledges (-DACK), releases (-DRELEASE, with a
 *                        delay -DDELAY) or extends, earlier or later (-DEXTEND)
 *              Admin     release by key, whatever the token (-DADMIN)
 *              Producer  publishes the reserved slot, visible after PRODUCER - 1 ms (0: at once; with -DSTART=0)
 *            The tender marks the bound, whose time stays; then looks at the word: what has lapsed becomes LAPSED, what is
 *            due WAITING with time 0, each with its entry before the swap; then it ends the mark with the time that is left.
 *            Who swaps to a visible state makes its entry first, and leaves it if he fails, unless the job is gone or was
 *            received again. Who swaps from one takes its entry out.
 *            At any time at which all but HALTS of them are done everybody stops for ever, and a last pull runs.
 *
 * ABSTRACTED Memory is sequentially consistent. "Spin a little" is a choice. The queue's bound over its segments works as the
 *            bound of a segment over its words, and is not here. DONE -> stamp. A state is visible once its time has passed.
 *            The version of a bound: it only tells one mark from another, so a mark carries its tender's number, who ends
 *            it before he makes another. A change that makes the job headed is one step, and the end: what is not final of
 *            it is pinned, and headed.pml's.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  nobody claims while a holder's deadline has not passed
 *   I2  acknowledged at most once, and never claimed after that
 *   I3  only who made the last claim acknowledges, releases by token, extends
 *   I4  LOST only if the claim is lost; the deadline is the one that the holder was told
 *   I5  nothing is lost: when all times have passed, a pull gets the job iff it was not acknowledged
 *   I6  what is visible when everybody stops is found: at once if nobody has stopped inside a call, else within RECHECK
 *
 * TWINS (-DTWIN_name; each must fail)
 *   ACKNOWLEDGES_WHATEVER   the token is not compared                                                     I3
 *   CLAIM_KEEPS_RECEIVES    a lapsed job is claimed under its old number                                  I3
 *   ENTRY_AFTER_SWAP        release enters the job after its swap                                         I6
 *   NOTICE_AFTER_SWAP       the tender makes the word LAPSED, then enters the job                         I6
 *   READS_BEFORE_MARK       the tender reads the word, then marks the bound                               I6
 *   CLAIM_WITHOUT_BOUND     the claimer does not lower the bound                                          I6
 *   NO_SECOND_LOOK          nobody looks at the bound after his swap                                      I6
 *   MARKS_AS_NEVER          the mark is NEVER, so that nothing covers it when the tender stops            I6
 *   RAISES_BY_STORE         the tender raises the bound though somebody has noted something since         I6
 *   COVER_LEAVES_MARK       who finds the tender's mark low enough leaves it                              I6
 *   NO_RECHECK              the bound rises to NEVER while the job is visible                             I6
 *   IGNORES_RESERVED        the same while the slot is EMPTY (a producer with a delay is about to swap)   I6
 *   REMOVES_PENDING         a puller takes an entry out whose maker has not swapped yet                   I6
 *   TAKES_OUT_EQUAL         a change that failed takes out an entry that another has made his             I6
 *   IGNORES_PASSED          a producer that was passed over makes no entry                                I6
 *   EXTEND_BY_STORE         extend stores instead of swapping from the state that it judged               I3
 *   EXTENDS_TO_EQUAL        LAPSED is extended to its own time: its word comes twice                      I6
 *   NOTICES_TWICE           the tender does not look whether the word that waits has a time still         I6
 *   SHORTENS                an extension or a delay moves the time forward, and the job stays plain       I6
 */

#ifndef PULLERS
#define PULLERS 2
#endif
#ifndef LAST
#define LAST 3
#endif
#ifndef HALTS
#define HALTS 1
#endif
#ifndef BOUND_START
#define BOUND_START NEVER
#endif
#ifndef VISIBILITY
#define VISIBILITY 1
#endif
#define RECHECK 1

/* A word: phase, receives (0..3), time (0..15). */
#define WORD(phase_, receives_, time_) ((phase_) * 64 + (receives_) * 16 + (time_))
#define PHASE(w_) ((w_) >> 6)
#define RECEIVES(w_) (((w_) >> 4) & 3)
#define TIME(w_) ((w_) & 15)
#define EMPTY 0
#define READY 1
#define WAITING 2
#define CLAIMED 3
#define PASSED 4
#define HEADED 5
#define DONE 6
#define LAPSED 7
#define IS_PLAIN(w_) (PHASE(w_) == READY || PHASE(w_) == WAITING || PHASE(w_) == CLAIMED || PHASE(w_) == LAPSED)
#define IS_TIMED(w_) (PHASE(w_) == CLAIMED || (PHASE(w_) == WAITING && TIME(w_) != 0)) /* the bound covers it */
#define IS_ENTERED(w_) (PHASE(w_) == LAPSED || (PHASE(w_) == WAITING && TIME(w_) == 0)) /* it has an entry */
#define VISIBLE(w_, now_) (PHASE(w_) == READY || IS_ENTERED(w_) || (IS_TIMED(w_) && TIME(w_) < (now_)))

/* A bound: a time, or NEVER; and whose mark it is (0: none). */
#define NEVER 31
#define UNTIL(b_) ((b_) & 31)

#ifndef START
#define START WORD(READY, 0, 0)
#endif

short word = START;
short bound = BOUND_START;
byte clock = 1;
bool cursor; /* past the slot */
#define ENTRIES 6
short entry[ENTRIES]; /* `to`, ascending, then 0 */

/* Ghost state. */
#define NOBODY 15
byte holder = NOBODY; /* made the last claim, and has not given it up */
byte until;
bool acknowledged, pushed = (START != 0);
byte working, finished;
bool stopped, got;

#define LOCALS byte now, i; short w, e, d, b, n, x, seen; bool ok

inline insert(e_) {
    d_step {
        i = 0;
        do :: i < ENTRIES && entry[i] != 0 && entry[i] < e_ -> i++ :: else -> break od;
        assert(i < ENTRIES);
        if
        :: entry[i] != e_ ->
            assert(entry[ENTRIES - 1] == 0);
            n = e_;
            do :: i < ENTRIES -> d = entry[i]; entry[i] = n; n = d; i++ :: else -> break od
        :: else
        fi;
        i = 0; n = 0; d = 0
    }
}

inline remove(e_) {
    d_step {
        i = 0;
        do :: i < ENTRIES && entry[i] != e_ -> i++ :: else -> break od;
        do :: i + 1 < ENTRIES -> entry[i] = entry[i + 1]; i++ :: else -> break od;
        if :: i < ENTRIES -> entry[i] = 0 :: else fi;
        i = 0
    }
}

/* e = the smallest entry above e, or 0 */
inline next_entry() {
    d_step {
        i = 0;
        do :: i < ENTRIES && entry[i] != 0 && entry[i] <= e -> i++ :: else -> break od;
        e = (i < ENTRIES -> entry[i] : 0);
        i = 0
    }
}

/* At most t_, and not marked: he whose mark is gone may not raise it. */
#ifdef TWIN_COVER_LEAVES_MARK
inline cover(t_) { d_step { if :: UNTIL(bound) > t_ -> bound = t_ :: else fi } }
#else
inline cover(t_) { d_step { if :: UNTIL(bound) > t_ -> bound = t_ :: else -> bound = UNTIL(bound) fi } }
#endif
#ifdef TWIN_NO_SECOND_LOOK
inline cover_again(t_) { skip }
#else
inline cover_again(t_) { cover(t_) }
#endif

/* After a swap from w_; after one that failed because it was `seen`. */
inline forget(w_) { if :: IS_ENTERED(w_) -> remove(w_) :: else fi }
#ifdef TWIN_TAKES_OUT_EQUAL
inline withdraw(to_) { remove(to_) }
#else
inline withdraw(to_) {
    if
    :: PHASE(seen) == DONE || (IS_PLAIN(seen) && RECEIVES(seen) != RECEIVES(to_)) -> remove(to_)
    :: else
    fi
}
#endif

#ifdef TWIN_CLAIM_KEEPS_RECEIVES
#define BUMP(w_) (PHASE(w_) != LAPSED)
#else
#define BUMP(w_) 1
#endif
#ifdef TWIN_CLAIM_WITHOUT_BOUND
#define COVERS_CLAIM(how_) skip
#else
#define COVERS_CLAIM(how_) how_(t)
#endif

/* The swap from w_; `last_`: for ever. */
inline claim(w_, last_) {
    t = now + VISIBILITY;
    if :: last_ -> t = 15 :: else fi;
    COVERS_CLAIM(cover);
    d_step {
        ok = (word == w_);
        if
        :: ok ->
            assert(holder == NOBODY || until < clock); /* I1 */
            assert(!acknowledged); /* I2 */
            word = WORD(CLAIMED, RECEIVES(w_) + BUMP(w_), t); holder = me; until = t;
            token = RECEIVES(w_) + BUMP(w_); won = true
        :: else
        fi
    };
    if
    :: ok -> COVERS_CLAIM(cover_again); forget(w_)
    :: else
    fi;
    t = 0
}

#ifdef TWIN_NO_RECHECK
#define SOON NEVER
#else
#define SOON (now + RECHECK)
#endif
#ifdef TWIN_RAISES_BY_STORE
#define IS_AS_MARKED true
#else
#define IS_AS_MARKED (bound == b)
#endif
#ifdef TWIN_MARKS_AS_NEVER
#define MARK ((me + 1) * 32 + NEVER)
#else
#define MARK ((me + 1) * 32 + UNTIL(bound))
#endif
#ifdef TWIN_NOTICES_TWICE
#define IS_NOTICED(w_) (PHASE(w_) == CLAIMED || PHASE(w_) == WAITING)
#else
#define IS_NOTICED(w_) IS_TIMED(w_)
#endif
#ifdef TWIN_NOTICE_AFTER_SWAP
#define NOTICE_LAST true
#else
#define NOTICE_LAST false
#endif

/* The word had a time that has passed. */
inline notice() {
    w = word;
    if
    :: IS_NOTICED(w) && TIME(w) < now ->
        x = (PHASE(w) == CLAIMED -> WORD(LAPSED, RECEIVES(w), TIME(w)) : WORD(WAITING, RECEIVES(w), 0));
        if :: !NOTICE_LAST -> insert(x) :: else fi;
        d_step { seen = word; ok = (seen == w); if :: ok -> word = x :: else fi };
        if
        :: ok -> if :: NOTICE_LAST -> insert(x) :: else fi; forget(w)
        :: else -> withdraw(x)
        fi
    :: else /* somebody else has been here */
    fi
}

/* The mark; then the look; then what is left, only where the bound still is as it was marked. */
inline tend() {
#ifdef TWIN_READS_BEFORE_MARK
    w = word;
#endif
    if
    :: UNTIL(bound) < now ->
        d_step { b = MARK; bound = b };
#ifndef TWIN_READS_BEFORE_MARK
        w = word;
#endif
        if
        :: IS_TIMED(w) && TIME(w) >= now -> t = TIME(w)
        :: IS_TIMED(w) && TIME(w) < now -> notice(); t = SOON
        :: PHASE(w) == DONE || PHASE(w) == HEADED -> t = NEVER
#ifdef TWIN_IGNORES_RESERVED
        :: PHASE(w) == EMPTY -> t = NEVER
#else
        :: PHASE(w) == EMPTY -> t = SOON
#endif
        :: PHASE(w) == READY || PHASE(w) == PASSED || IS_ENTERED(w) -> t = SOON
        fi;
        d_step { if :: IS_AS_MARKED -> bound = t :: else fi };
        t = 0
    :: else
    fi;
    atomic { b = 0; w = 0; x = 0; seen = 0; ok = false }
}

/* Somebody may be about to put w_ into the state e_. */
#ifdef TWIN_REMOVES_PENDING
#define IS_PENDING(e_, w_) false
#else
#define IS_PENDING(e_, w_) (e_ != w_ && (PHASE(w_) == PASSED || (IS_PLAIN(w_) && RECEIVES(w_) == RECEIVES(e_))))
#endif

/* won: holds a claim with `token` */
inline pull(last_) {
    now = clock;
    tend();
    if
    :: !cursor ->
        w = word;
        do
        :: !won && PHASE(w) == EMPTY && !last_ -> break /* still spinning */
        :: !won && PHASE(w) == EMPTY -> d_step { if :: word == EMPTY -> word = WORD(PASSED, 0, 0) :: else fi; w = word }
        :: !won && PHASE(w) == READY -> claim(w, last_); w = word
        :: else -> break
        od;
        if :: PHASE(w) != EMPTY && PHASE(w) != READY -> cursor = true :: else fi
    :: else
    fi;
    w = 0;
    if
    :: !won ->
        e = 0;
        next_entry();
        do
        :: e == 0 || won -> break
        :: else ->
            w = word;
            if
            :: w == e -> claim(w, last_) /* what has an entry is visible by any clock; or look again */
            :: w != e && IS_PENDING(e, w) -> next_entry()
            :: else -> remove(e); next_entry() /* stale */
            fi
        od
    :: else
    fi;
    atomic { e = 0; w = 0; now = 0; ok = false }
}

#ifdef TWIN_ACKNOWLEDGES_WHATEVER
#define MINE(w_) true
#else
#define MINE(w_) (RECEIVES(w_) == token)
#endif

#define IS_CLAIMED(w_) (PHASE(w_) == CLAIMED || PHASE(w_) == LAPSED)

inline acknowledge() {
    now = clock;
    done = false;
    do
    :: !done ->
        w = word;
        if
        :: IS_CLAIMED(w) && MINE(w) ->
            d_step {
                if
                :: word == w ->
                    assert(!acknowledged); /* I2 */
                    assert(holder == me); /* I3 */
                    assert(TIME(w) == until); /* I4 */
                    word = WORD(DONE, 0, 0); acknowledged = true; holder = NOBODY; done = true
                :: else
                fi
            };
            if :: done -> forget(w) :: else fi
        :: else -> atomic { assert(holder != me || PHASE(w) == HEADED); /* I4 */ done = true }
        fi
    :: else -> break
    od;
    atomic { w = 0; now = 0; done = false }
}

#ifdef TWIN_ENTRY_AFTER_SWAP
#define ENTRY_LAST true
#else
#define ENTRY_LAST false
#endif
/* To the time t_: a word that came twice, or a time that moves forward: the job becomes headed. */
#ifdef TWIN_SHORTENS
#define IS_UNSTEADY(w_, t_) (PHASE(w_) == LAPSED && t_ == TIME(w_))
#else
#ifdef TWIN_EXTENDS_TO_EQUAL
#define IS_UNSTEADY(w_, t_) (t_ < TIME(w_))
#else
#define IS_UNSTEADY(w_, t_) (t_ < TIME(w_) || (PHASE(w_) == LAPSED && t_ == TIME(w_)))
#endif
#endif
inline becomes_headed() { d_step { if :: word == w -> word = WORD(HEADED, 0, 0); holder = NOBODY; done = true :: else fi } }

inline release_swap(by_key) {
    d_step {
        seen = word;
        if
        :: seen == w ->
            assert(by_key || holder == me); /* I3 */
            word = x; holder = NOBODY; done = true
        :: else
        fi
    }
}

/* by_key: whatever the token */
inline release(delay_, by_key) {
    now = clock;
    done = false;
    do
    :: !done ->
        w = word;
        if
        :: (IS_CLAIMED(w) && (RECEIVES(w) == token || by_key)) || (PHASE(w) == READY && by_key) ->
            x = WORD(WAITING, RECEIVES(w), (delay_ == 0 -> 0 : now - 1 + delay_));
            if
            :: delay_ == 0 ->
                if :: !ENTRY_LAST -> insert(x) :: else fi;
                release_swap(by_key);
                if
                :: done -> if :: ENTRY_LAST -> insert(x) :: else fi; forget(w)
                :: else -> withdraw(x)
                fi
            :: delay_ > 0 && IS_UNSTEADY(w, TIME(x)) -> becomes_headed()
            :: delay_ > 0 && !IS_UNSTEADY(w, TIME(x)) ->
                cover(TIME(x));
                release_swap(by_key);
                if :: done -> cover_again(TIME(x)); forget(w) :: else fi
            fi
        :: PHASE(w) == WAITING && by_key -> becomes_headed()
        :: else -> atomic { assert(by_key || holder != me || PHASE(w) == HEADED); /* I4 */ done = true }
        fi
    :: else -> break
    od;
    atomic { w = 0; now = 0; done = false; x = 0; seen = 0 }
}

#ifdef TWIN_EXTEND_BY_STORE
#define EXTENDS(w_) true
#else
#define EXTENDS(w_) (word == (w_))
#endif

inline extend(v_) {
    now = clock;
    done = false;
    do
    :: !done ->
        w = word;
        t = now + v_;
        if
        :: IS_CLAIMED(w) && RECEIVES(w) == token && PHASE(w) == CLAIMED && t == TIME(w) -> done = true
        :: IS_CLAIMED(w) && RECEIVES(w) == token && IS_UNSTEADY(w, t) -> becomes_headed()
        :: IS_CLAIMED(w) && RECEIVES(w) == token && !(PHASE(w) == CLAIMED && t == TIME(w)) && !IS_UNSTEADY(w, t) ->
            cover(t);
            d_step {
                if
                :: EXTENDS(w) ->
                    assert(holder == me); /* I3 */
                    assert(TIME(w) == until); /* I4 */
                    word = WORD(CLAIMED, token, t); until = t; done = true
                :: else
                fi
            };
            if :: done -> cover_again(t); forget(w) :: else fi
        :: else -> atomic { assert(holder != me || PHASE(w) == HEADED); /* I4 */ done = true }
        fi
    :: else -> break
    od;
    atomic { w = 0; now = 0; done = false; t = 0 }
}

#define MORE byte token; short t; bool won, done

proctype Puller(byte me) provided (!stopped) {
    LOCALS; MORE;
    pull(false);
    if
    :: won ->
        if
        :: true /* lets it lapse */
#ifdef ACK
        :: acknowledge()
#endif
#ifdef RELEASE
        :: release(0, false)
#endif
#ifdef DELAY
        :: release(2, false)
#endif
#ifdef EXTEND
        :: extend(1); acknowledge()
        :: extend(2)
#endif
        fi
    :: else
    fi;
    atomic { finished++; token = 0; won = false }
}

/* Releases by key. */
#ifdef ADMIN
proctype Admin(byte me) provided (!stopped) {
    LOCALS; MORE;
    release(0, true);
    finished++
}
#endif

#ifdef PRODUCER
proctype Producer(byte me) provided (!stopped) {
    LOCALS; MORE;
    now = clock;
    x = (PRODUCER == 0 -> WORD(READY, 0, 0) : WORD(WAITING, 0, now - 1 + PRODUCER));
    if :: PRODUCER > 0 -> cover(TIME(x)) :: else fi;
    d_step { if :: word == EMPTY -> word = x; pushed = true; ok = true :: else fi };
    if
    :: ok -> if :: PRODUCER > 0 -> cover_again(TIME(x)) :: else fi
    :: !ok && PRODUCER == 0 ->
        x = WORD(WAITING, 0, 0);
#ifndef TWIN_IGNORES_PASSED
        insert(x);
#endif
        d_step { assert(PHASE(word) == PASSED); word = x; pushed = true }
    :: !ok && PRODUCER > 0 ->
        cover(TIME(x));
        d_step { assert(PHASE(word) == PASSED); word = x; pushed = true };
        cover_again(TIME(x))
    fi;
    atomic { finished++; x = 0; now = 0; ok = false }
}
#endif

proctype Clock() provided (!stopped) {
end:
    do
    :: clock < LAST -> clock++
    od
}

init {
    LOCALS; MORE;
    byte me = 7;
    bool visible;
    atomic {
        run Clock();
        n = 0;
        do :: n < PULLERS -> run Puller(n); working++; n++ :: else -> break od;
        n = 0;
#ifdef ADMIN
        run Admin(3); working++;
#endif
#ifdef PRODUCER
        run Producer(4); working++;
#endif
    }
    atomic {
        finished + HALTS >= working;
        stopped = true;
        holder = NOBODY;
        visible = VISIBLE(word, clock);
        if :: PHASE(word) == HEADED -> goto out :: else fi;
        pull(true);
        assert(won || !visible || finished < working); /* I6 */
        if
        :: !won -> clock = clock + RECHECK + 1; pull(true)
        :: else
        fi;
        assert(won || !visible); /* I6 */
        if
        :: !won -> clock = 14; pull(true)
        :: else
        fi;
        assert(won == (pushed && !acknowledged)) /* I5 */
    };
out:
    do :: stopped od /* no end: the stopped ones are not a deadlock */
}
