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
 *            At any time at which all but HALTS of them are done everybody stops for ever, and a last pull runs.
 *
 * ABSTRACTED Memory is sequentially consistent. "Spin a little" is a choice. The lane's bound over its segments works as the
 *            bound of a segment over its words, and is not here. DONE -> stamp. A state is visible once its time has passed.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  nobody claims while a holder's deadline has not passed
 *   I2  acknowledged at most once, and never claimed after that
 *   I3  only who made the last claim acknowledges, releases by token, extends
 *   I4  LOST only if the claim is lost; the deadline is the one that the holder was told
 *   I5  nothing is lost: when all times have passed, a pull gets the job iff it was not acknowledged
 *   I6  what is visible when everybody stops is found within RECHECK. Not for a thread that stops for ever right after it
 *       has moved a time forward (shorter extend or delay): that job is found when its former time has passed; therefore
 *       the configurations with both DELAY or EXTEND and a long VISIBILITY have HALTS=0.
 *
 * TWINS (-DTWIN_name; each must fail)
 *   ACKNOWLEDGES_WHATEVER   the token is not compared                                                     I3
 *   CLAIM_KEEPS_RECEIVES    a lapsed job is claimed under its old number                                  I3
 *   ENTRY_AFTER_SWAP        release enters the job after its swap                                         I6
 *   READS_BEFORE_RESET      the tender reads the word, then resets the bound                              I6
 *   CLAIM_WITHOUT_BOUND     the claimer does not lower the bound                                          I6
 *   NO_SECOND_LOOK          nobody looks at the bound after his swap (only a shorter time needs it)        I6
 *   RESETS_TO_NEVER         the tender resets to NEVER, so that nothing covers it when it stops           I6
 *   RAISES_BY_STORE         the tender raises the bound though somebody has noted something since         I6
 *   NOTE_LEAVES_MARK        who finds the tender's mark low enough leaves it                              I5
 *   NO_RECHECK              the bound rises to NEVER while the job is visible                             I6
 *   IGNORES_RESERVED        the same while the slot is EMPTY (a producer with a delay is about to swap)   I6
 *   REMOVES_FROM            a puller takes an entry out whose maker has not swapped yet                   I6
 *   DROPS_WHAT_WAITS        a puller with an old time takes out an entry whose `to` is current            I6
 *   TAKES_OUT_EQUAL         a release that failed takes out an entry that another has made his            I6
 *   IGNORES_PASSED          a producer that was passed over makes no entry                                I6
 *   EXTEND_BY_STORE         extend stores instead of swapping from the state that it judged               I3
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
#define DONE 6
#define VISIBLE(w_, now_) (PHASE(w_) == READY || ((PHASE(w_) == WAITING || PHASE(w_) == CLAIMED) && TIME(w_) < (now_)))

/* A bound: a time, or NEVER; and who is tending (0: nobody). */
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

#define LOCALS byte now, i; short w, e, d, b, n; bool ok

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
inline note(t_) {
    d_step { if :: UNTIL(bound) > t_ -> bound = t_ :: else -> bound = UNTIL(bound) fi }
}
#ifdef TWIN_NOTE_LEAVES_MARK
inline lower(t_) { d_step { if :: UNTIL(bound) > t_ -> bound = t_ :: else fi } }
#else
inline lower(t_) { note(t_) }
#endif
#ifdef TWIN_NO_SECOND_LOOK
inline look_again(t_) { skip }
#else
inline look_again(t_) { note(t_) }
#endif

#ifdef TWIN_CLAIM_KEEPS_RECEIVES
#define BUMP(w_) (PHASE(w_) != CLAIMED)
#else
#define BUMP(w_) 1
#endif
#ifdef TWIN_CLAIM_WITHOUT_BOUND
#define SECOND_LOOK(t_) skip
#else
#define SECOND_LOOK(t_) look_again(t_)
#endif

/* The swap from w_; `last_`: for ever. */
inline claim(w_, last_) {
    t = now + VISIBILITY;
    if :: last_ -> t = 15 :: else fi;
#ifndef TWIN_CLAIM_WITHOUT_BOUND
    lower(t);
#endif
    d_step {
        ok = (word == w_);
        if
        :: ok ->
            assert(holder == NOBODY || until < clock); /* I1 */
            assert(!acknowledged); /* I2 */
            word = WORD(CLAIMED, RECEIVES(w_) + BUMP(w_), t); holder = me; until = t
        :: else
        fi
    };
    if
    :: ok -> atomic { token = RECEIVES(w_) + BUMP(w_); won = true }; SECOND_LOOK(t)
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
#define RISES true
#else
#define RISES (bound == MARK)
#endif
#ifdef TWIN_NO_OWNER
#define MARK (32 + now + RECHECK)
#else
#define MARK ((me + 1) * 32 + now + RECHECK)
#endif

/* The bound becomes `soon`, marked as ours; only where it still is so it may rise when the word has been read. */
inline tend() {
#ifdef TWIN_READS_BEFORE_RESET
    w = word;
#endif
    b = bound;
    if
    :: UNTIL(b) < now ->
#ifdef TWIN_RESETS_TO_NEVER
        d_step { ok = (bound == b); if :: ok -> bound = NEVER :: else fi };
#else
        d_step { ok = (bound == b); if :: ok -> bound = MARK :: else fi };
#endif
        if
        :: ok ->
            t = NEVER;
#ifndef TWIN_READS_BEFORE_RESET
            w = word;
#endif
            if
            :: PHASE(w) == READY -> t = SOON
#ifndef TWIN_IGNORES_RESERVED
            :: PHASE(w) == EMPTY -> t = SOON
#endif
            :: (PHASE(w) == WAITING || PHASE(w) == CLAIMED) && TIME(w) >= now -> t = TIME(w)
            :: (PHASE(w) == WAITING || PHASE(w) == CLAIMED) && TIME(w) < now -> insert(w); t = SOON
            :: else
            fi;
#ifdef TWIN_RESETS_TO_NEVER
            lower(t);
#else
            d_step {
                if
                :: RISES -> bound = t
                :: else -> if :: UNTIL(bound) > t -> bound = t :: else fi
                fi
            };
#endif
            t = 0
        :: else
        fi
    :: else
    fi;
    atomic { b = 0; w = 0 }
}

#ifdef TWIN_DROPS_WHAT_WAITS
#define LEAVE_IF_TO(e_) false
#else
#define LEAVE_IF_TO(e_) (w == e_)
#endif
#define IS_FROM(e_, w_) (PHASE(e_) == WAITING && (PHASE(w_) == PASSED || \
    (RECEIVES(w_) == RECEIVES(e_) && (PHASE(w_) == WAITING || PHASE(w_) == CLAIMED) && e_ != w_)))

#ifdef TWIN_REMOVES_FROM
#define LEAVE_IF_FROM(e_, w_) false
#else
#define LEAVE_IF_FROM(e_, w_) IS_FROM(e_, w_)
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
            :: w == e && VISIBLE(w, now) ->
                claim(w, last_);
                if :: ok -> remove(e) :: else fi /* else: look again */
            :: w == e && !VISIBLE(w, now) && LEAVE_IF_TO(e) -> next_entry()
            :: w != e && LEAVE_IF_FROM(e, w) -> next_entry()
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

inline acknowledge() {
    now = clock;
    done = false;
    do
    :: !done ->
        w = word;
        if
        :: PHASE(w) == CLAIMED && MINE(w) ->
            d_step {
                if
                :: word == w ->
                    assert(!acknowledged); /* I2 */
                    assert(holder == me); /* I3 */
                    assert(TIME(w) == until); /* I4 */
                    word = WORD(DONE, 0, 0); acknowledged = true; holder = NOBODY; done = true
                :: else
                fi
            }
        :: else -> atomic { assert(holder != me); /* I4 */ done = true }
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

/* by_key: whatever the token */
inline release(delay_, by_key) {
    now = clock;
    done = false;
    do
    :: !done ->
        w = word;
        if
        :: (PHASE(w) == CLAIMED && (RECEIVES(w) == token || by_key)) || (PHASE(w) == WAITING && by_key) ->
            t = WORD(WAITING, RECEIVES(w), now - 1 + delay_);
            if
            :: delay_ == 0 && !ENTRY_LAST -> if :: e != t -> insert(t); e = t :: else fi
            :: delay_ == 0 && ENTRY_LAST
            :: delay_ > 0 -> lower(TIME(t))
            fi;
            d_step {
                if
                :: word == w ->
                    assert(by_key || holder == me); /* I3 */
                    word = t; holder = NOBODY; done = true; e = 0
                :: else
                fi
            };
            if
            :: done && delay_ > 0 -> look_again(TIME(t))
            :: done && delay_ == 0 && ENTRY_LAST -> insert(t)
            :: else
            fi
        :: else ->
            atomic { assert(by_key || holder != me); /* I4 */ done = true };
            if
            :: e != 0 ->
#ifdef TWIN_TAKES_OUT_EQUAL
                remove(e)
#else
                if :: w != e && !IS_FROM(e, w) -> remove(e) :: else fi
#endif
            :: else
            fi
        fi
    :: else -> break
    od;
    atomic { w = 0; now = 0; done = false; t = 0; e = 0 }
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
        if
        :: PHASE(w) == CLAIMED && RECEIVES(w) == token ->
            t = now + v_;
            lower(t);
            d_step {
                if
                :: EXTENDS(w) ->
                    assert(holder == me); /* I3 */
                    assert(TIME(w) == until); /* I4 */
                    word = WORD(CLAIMED, token, t); until = t; done = true
                :: else
                fi
            };
            if :: done -> look_again(t) :: else fi
        :: else -> atomic { assert(holder != me); /* I4 */ done = true }
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
    t = (PRODUCER == 0 -> WORD(READY, 0, 0) : WORD(WAITING, 0, now - 1 + PRODUCER));
    if :: PRODUCER > 0 -> lower(TIME(t)) :: else fi;
    d_step { if :: word == EMPTY -> word = t; pushed = true; ok = true :: else fi };
    if
    :: ok -> if :: PRODUCER > 0 -> look_again(TIME(t)) :: else fi
    :: else ->
#ifndef TWIN_IGNORES_PASSED
        t = WORD(WAITING, 0, now - 1 + PRODUCER);
        insert(t);
#endif
        d_step { assert(PHASE(word) == PASSED); word = t; pushed = true }
    fi;
    atomic { finished++; t = 0; now = 0 }
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
        pull(true);
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
    do :: stopped od /* no end: the stopped ones are not a deadlock */
}
