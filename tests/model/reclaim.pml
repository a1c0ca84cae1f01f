/* SPDX-License-Identifier: MIT
 *
 * Reclamation: sections, epochs, tags, and thieves who free what an idle thread has left in its limbo.
 *
 * MODELLED   An owner (process 0) replaces the object behind a shared pointer ROUNDS times, each time in a section of its
 *            own, and puts the old one into its limbo: into slot A, or into slot B while `request` is set. A reader
 *            (1) uses what the pointer shows, in sections, and what it showed in the section before if that was of the
 *            same epoch. THIEVES thieves (2, 3) claim slot A by an exchange of `request`,
 *            look whether the owner is in a section, and if not free what is mature in slot A. Owner and thieves advance
 *            the epoch: only if everybody in a section is at the current one.
 *              entry    active = 1 + epoch; full fence; read request        (one word for both)
 *              reader's active, with the epoch of the section before; full fence; read the epoch and store it
 *              retire   unlink by exchange; tag = epoch; free when epoch >= tag + 2
 *            Memory is NOT sequentially consistent for the words of the handshakes: a plain store goes into a store buffer
 *            of one entry, which drains at any time, at the next plain store, and at a fence or a read-modify-write.
 *            A process sees its own buffered store.
 *
 * ABSTRACTED Load-load and store-store reordering (x86 has none; the fences above order them elsewhere). Epoch numbers do
 *            not wrap. Objects are never reused: any use of a freed one is an error.
 *
 * INVARIANTS
 *   I1  nobody uses an object that has been freed
 *   I2  at most one process works on slot A at a time
 *   I3  an object is retired once
 *
 * TWINS (-DTWIN_name) and what catches them
 *   FREE_AT_TAG_PLUS_ONE   free when epoch >= tag + 1                              I1
 *   NO_FENCE_AT_ENTRY      no fence between active = 1 and what follows            I1 I2
 *   NO_FENCE_IN_THIEF      request is a plain store without a fence                I2
 *   CLAIM_BY_STORE         thieves store request instead of exchanging it          I2
 *   REQUEST_BEFORE_ACTIVE  the owner reads request, then sets active               I2
 *   REQUEST_CLEARED_EARLY  the thief clears request before it is done with A       I2
 *   TAG_BEFORE_UNLINK      the epoch is read before the object is unlinked         I1
 *   UNLINK_BY_STORE        unlink is a plain store, without a fence                I1
 *   ADVANCE_UNSEEN         the epoch advances without looking at sections          I1
 *   KEPT_INTO_ANY_EPOCH    the reader uses what it saw before, whatever the epoch   I1
 *   KEPT_INTO_THE_NEXT     the same, also where the epoch is one more               I1
 *   EPOCH_BEFORE_ACTIVE    the reader reads the epoch, then sets active            I1
 */

#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef READS
#define READS 2
#endif
#ifndef THIEVES
#define THIEVES 1
#endif
#ifndef TRIES
#define TRIES 3
#endif
#ifndef LAST_EPOCH
#define LAST_EPOCH 5
#endif

#define OWNER 0
#define READER 1
#define PROCESSES (2 + THIEVES)
#define OBJECTS (ROUNDS + 1)

/* Words that go through store buffers: active[0..PROCESSES-1], request, root. */
#define ACTIVE(p) (p)
#define REQUEST PROCESSES
#define ROOT (PROCESSES + 1)
#define WORDS (PROCESSES + 2)
#define NOTHING 255
byte memory[WORDS];
byte buffered[PROCESSES] = NOTHING; /* which word, NOTHING: the buffer is empty */
byte buffered_value[PROCESSES];

byte epoch = 1;
#define LIVE 0
#define IN_A 1
#define IN_B 2
#define FREED 3
byte where[OBJECTS];
byte tag[OBJECTS];
byte working_on_a; /* ghost */

#define LOAD(word_) (buffered[me] == (word_) -> buffered_value[me] : memory[word_])

inline drain(p_) {
    d_step {
        if
        :: buffered[p_] != NOTHING ->
            memory[buffered[p_]] = buffered_value[p_]; buffered[p_] = NOTHING; buffered_value[p_] = 0
        :: else
        fi
    }
}

inline store(word_, value_) {
    atomic {
        drain(me);
        buffered[me] = word_; buffered_value[me] = value_
    }
}

/* Stores drain by themselves at any time. */
proctype Memory() {
end:
    do
    :: atomic { buffered[0] != NOTHING -> drain(0) }
    :: atomic { buffered[1] != NOTHING -> drain(1) }
    :: atomic { buffered[2] != NOTHING -> drain(2) }
#if THIEVES > 1
    :: atomic { buffered[3] != NOTHING -> drain(3) }
#endif
    od
}

inline enter() {
    t = epoch;
    store(ACTIVE(me), 1 + t);
#ifndef TWIN_NO_FENCE_AT_ENTRY
    drain(me);
#endif
    t = 0
}

/* As ck does it: `last` is what the record says of the section before. */
inline enter_reading() {
#ifdef TWIN_EPOCH_BEFORE_ACTIVE
    t = epoch;
    store(ACTIVE(me), 1 + t);
    drain(me);
#else
    store(ACTIVE(me), 1 + last);
    drain(me);
    t = epoch;
    store(ACTIVE(me), 1 + t);
#endif
    last = t;
    t = 0
}

#ifdef TWIN_KEPT_INTO_ANY_EPOCH
#define MAY_USE_KEPT (kept_at != 0)
#else
#ifdef TWIN_KEPT_INTO_THE_NEXT
#define MAY_USE_KEPT (kept_at == last || kept_at + 1 == last)
#else
#define MAY_USE_KEPT (kept_at == last)
#endif
#endif

inline leave() { store(ACTIVE(me), 0) }

inline advance() {
    t = epoch;
    i = 0;
    do
    :: i < PROCESSES ->
        d_step {
#ifndef TWIN_ADVANCE_UNSEEN
            if
            :: LOAD(ACTIVE(i)) != 0 && LOAD(ACTIVE(i)) != 1 + t -> t = NOTHING
            :: else
            fi;
#endif
            i++
        }
    :: else -> break
    od;
    atomic {
        drain(me); /* the compare-and-swap */
        if
        :: epoch == t && t < LAST_EPOCH -> epoch++
        :: else
        fi;
        t = 0; i = 0
    }
}

#ifdef TWIN_FREE_AT_TAG_PLUS_ONE
#define GRACE 1
#else
#define GRACE 2
#endif

/* Frees what is mature in slot A; whoever calls it must own that slot. */
inline free_mature() {
    atomic { working_on_a++; assert(working_on_a == 1) /* I2 */ };
    t = epoch;
    i = 0;
    do
    :: i < OBJECTS ->
        d_step {
            if
            :: where[i] == IN_A && t >= tag[i] + GRACE -> where[i] = FREED
            :: else
            fi;
            i++
        }
    :: else -> break
    od;
    atomic { working_on_a--; i = 0; t = 0 }
}

proctype Owner(byte me) {
    byte round = 1;
    byte t, i, old, at;
    bool asked;
    do
    :: round < OBJECTS ->
#ifdef TWIN_REQUEST_BEFORE_ACTIVE
        asked = LOAD(REQUEST);
        enter();
#else
        enter();
        asked = LOAD(REQUEST);
#endif
#ifdef TWIN_TAG_BEFORE_UNLINK
        at = epoch;
#endif
#ifdef TWIN_UNLINK_BY_STORE
        old = LOAD(ROOT);
        store(ROOT, round);
#else
        atomic { drain(me); old = memory[ROOT]; memory[ROOT] = round };
#endif
#ifndef TWIN_TAG_BEFORE_UNLINK
        at = epoch;
#endif
        if
        :: asked -> d_step { assert(where[old] == LIVE) /* I3 */; where[old] = IN_B; tag[old] = at }
        :: else ->
            atomic { working_on_a++; assert(working_on_a == 1) /* I2 */ };
            atomic {
                assert(where[old] == LIVE); /* I3 */
                where[old] = IN_A; tag[old] = at;
                i = 0;
                do
                :: i < OBJECTS && where[i] == IN_B -> where[i] = IN_A; i++
                :: i < OBJECTS && where[i] != IN_B -> i++
                :: else -> break
                od;
                i = 0;
                working_on_a--
            };
            free_mature()
        fi;
        old = 0; at = 0; asked = false;
        leave();
        advance();
        round++
    :: else -> break
    od;
    drain(me)
}

proctype Reader(byte me) {
    byte t, r, n, last, kept, kept_at;
    do
    :: n < READS ->
        enter_reading();
        if
        :: MAY_USE_KEPT -> r = kept
        :: r = LOAD(ROOT)
        fi;
        assert(where[r] != FREED); /* I1 */
        skip;
        assert(where[r] != FREED); /* I1 */
        kept = r;
        kept_at = last;
        r = 0;
        leave();
        n++
    :: else -> break
    od;
    drain(me)
}

proctype Thief(byte me) {
    byte t, i, n;
    bool mine;
    do
    :: n < TRIES ->
        advance();
#ifdef TWIN_NO_FENCE_IN_THIEF
        store(REQUEST, 1); mine = true;
#else
#ifdef TWIN_CLAIM_BY_STORE
        store(REQUEST, 1); drain(me); mine = true;
#else
        atomic { drain(me); mine = !memory[REQUEST]; memory[REQUEST] = 1 };
#endif
#endif
        if
        :: mine ->
            if
            :: LOAD(ACTIVE(OWNER)) == 0 ->
#ifdef TWIN_REQUEST_CLEARED_EARLY
                store(REQUEST, 0);
#endif
                free_mature()
            :: else
            fi;
            store(REQUEST, 0)
        :: else
        fi;
        mine = false;
        n++
    :: else -> break
    od;
    drain(me)
}

init {
    byte n;
    atomic {
        run Memory();
        run Owner(OWNER);
        run Reader(READER);
        do
        :: n < THIEVES -> run Thief(2 + n); n++
        :: else -> break
        od;
        n = 0
    }
}
