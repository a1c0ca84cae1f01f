/* SPDX-License-Identifier: MIT
 *
 * The end of a closed queue: who may say that it is over, and who is told (lki_queue_is_over in src/queue/queue.c, src/queue/commit.c).
 *
 * MODELLED   A queue with one job, which has a place and is claimed. Its holder acknowledges it. One closes. A commit pushes: it pins, looks whether
 *            the queue is closed, then its job has a place (if it gets one before the seal) or a key, as it likes. A dead letter comes as a commit
 *            does, closed or not. A plain push looks, and gets a place before the seal. A taker takes what is visible, up to two jobs. A puller asks whether all is over; one that waits (WAITER)
 *            counts itself, notes the signal, asks, sleeps. Every access to a shared word is one step; a job becomes visible in one step, and a
 *            taker's or holder's word is that too.
 *
 * ABSTRACTED Memory is sequentially consistent (the pairs P15 and P16 of tests/schedule/test_pairs.c are what that stands for). What is visible is
 *            looked for elsewhere (order.pml): here a puller has found nothing, whatever there is.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  over is said only if the queue was closed and empty at an instant of the call
 *   I2  no push comes in, but for dead letters, once over was said
 *   I3  in the end nobody sleeps at a queue that is over
 *
 * TWINS (-DTWIN_name; each must fail)
 *   PLACES_FIRST        places are read before the jobs that are gone and the pins           I1
 *   PINS_FIRST          pins are read before the jobs that are gone                          I1
 *   PIN_LATE            a push looks at `closed` before it pins                              I2
 *   CLOSED_EARLY        `closed` is stored before the seal                                   I2
 *   LEFT_EARLY          who ends a job looks at `closed` before he counts it                 I3
 *   REFUSED_SILENT      a push that was refused tells nobody that its pin is gone            I3
 *   SLEEPS_UNCOUNTED    a waiter counts himself after his look                               I3
 *   CLOSE_SILENT        who closes tells nobody                                              I3
 */

bool sealed, closed;
byte places = 1, removed, pins; /* pins of jobs with keys, and of pushes on their way */
byte waiters, signal;

/* What is visible, and what is held. */
byte placed, keyed, held = 1;

/* Ghost state: was it empty at an instant of each puller's call? */
bool was_empty[2], said, asleep;
byte slept_at, done;

#define JOBS (placed + keyed + held)

inline gone() {
    if
    :: JOBS == 0 && closed -> was_empty[0] = true; was_empty[1] = true
    :: else
    fi
}

inline is_over() {
    over = false;
    if
    :: !closed
    :: else ->
#if defined(TWIN_PLACES_FIRST)
        p = places; r = removed; k = pins;
#elif defined(TWIN_PINS_FIRST)
        k = pins; r = removed; p = places;
#else
        r = removed; k = pins; p = places;
#endif
        d_step { over = (k == 0 && p == r); k = 0; p = 0; r = 0 }
    fi
}

inline tell() {
    if :: waiters != 0 -> signal++ :: else fi
}

/* A job is gone, and was counted. */
inline left() {
    is_over();
    if :: over -> tell() :: else fi
}

inline unpin_left() {
    pins--;
    left()
}

/* `letter_`: it is not refused. */
inline push(letter_) {
#ifdef TWIN_PIN_LATE
    refused = closed && !letter_;
    pins++;
#else
    pins++;
    refused = closed && !letter_;
#endif
    if
    :: refused
    :: else ->
        if
        :: /* a place */
            atomic {
                if
                :: sealed && !letter_ -> refused = true
                :: else -> places++
                fi
            }
            if
            :: refused
            :: else ->
                atomic { assert(letter_ || !said); /* I2 */ placed++ }
                unpin_left()
            fi
        :: /* a key: the pin is the job's from now on */
            atomic { assert(letter_ || !said); /* I2 */ keyed++ }
        fi
    fi;
    if
    :: refused ->
#ifdef TWIN_REFUSED_SILENT
        pins--
#else
        unpin_left()
#endif
    :: else
    fi
}

/* Without a commit: its place alone counts. */
proctype Plain() {
    bool reserved;
    if
    :: closed
    :: else ->
        atomic { reserved = !sealed; if :: reserved -> places++ :: else fi }
        if
        :: reserved -> atomic { assert(!said); /* I2 */ placed++ }
        :: else
        fi
    fi;
    done++
}

#ifdef TWIN_LEFT_EARLY
#define ENDS(count_) left(); count_
#else
#define ENDS(count_) count_; left()
#endif

proctype Push(bool letter) {
    byte r, k, p;
    bool over, refused;
    push(letter);
    done++
}

proctype Holder() {
    byte r, k, p;
    bool over;
    atomic { held--; gone() }
    ENDS(removed++);
    done++
}

proctype Taker() {
    byte r, k, p, jobs;
    bool over;
    do
    :: jobs == 2 -> break
    :: atomic { placed != 0 -> placed--; gone() }
        ENDS(removed++);
        jobs++
    :: atomic { keyed != 0 -> keyed--; gone() }
        ENDS(pins--);
        jobs++
    :: break
    od;
    done++
}

proctype Closer() {
#ifdef TWIN_CLOSED_EARLY
    atomic { closed = true; gone() }
    sealed = true;
#else
    sealed = true;
    atomic { closed = true; gone() }
#endif
#ifndef TWIN_CLOSE_SILENT
    tell();
#endif
    done++
}

proctype Puller() {
    byte r, k, p;
    bool over;
    d_step { was_empty[0] = false; gone() }
    is_over();
    if
    :: over -> atomic { assert(was_empty[0]); /* I1 */ said = true }
    :: else
    fi;
    done++
}

proctype Waiter() {
    byte r, k, p, seen;
    bool over;
#ifndef TWIN_SLEEPS_UNCOUNTED
    waiters++;
#endif
    do
    :: seen = signal;
        d_step { was_empty[1] = false; gone() }
        is_over();
        if
        :: over -> atomic { assert(was_empty[1]); /* I1 */ said = true; break }
        :: else
        fi;
#ifdef TWIN_SLEEPS_UNCOUNTED
        waiters = 1;
#endif
        atomic { slept_at = seen; asleep = (signal == seen) }
end:    atomic { signal != seen; asleep = false }
    od
}

byte all;

init {
    atomic {
        all = 3;
        run Holder();
        run Closer();
#ifdef WAITER
        run Waiter();
#else
        run Puller();
#endif
#ifdef TAKER
        run Taker(); all++;
#endif
#ifdef LETTER
        run Push(true); all++;
#endif
#ifdef COMMIT
        run Push(false); all++;
#endif
#ifdef PLAIN
        run Plain(); all++;
#endif
#ifdef WAITER
        all--;
#endif
    }
end: done == all;
    assert(!(asleep && signal == slept_at && JOBS == 0)) /* I3 */
}
