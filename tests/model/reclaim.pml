/* SPDX-License-Identifier: MIT
 *
 * Reclamation: sections, epochs, tags, and the bags in which retired objects change hands.
 *
 * MODELLED   An owner (process 0) replaces the object behind a shared pointer ROUNDS times, each time in a section of its
 *            own, and puts the old one into its open bag; after each it may seal that. A reader (1) uses what the pointer
 *            shows, in sections, and what it showed in the section before if that was of the same epoch. A helper (2) takes
 *            the owner's open bag away, at any time. Owner and helper take bags that are due, and dispose of what is in
 *            them; both advance the epoch: only if everybody in a section is at the current one.
 *              entry    active = 1 + epoch; full fence; open read; a new bag stored there if there is none
 *              reader's active, with the epoch of the section before; full fence; read the epoch and store it
 *              retire   unlink by exchange; into the bag
 *              seal     exchange of open: if the bag is still there, tag = epoch, into `sealed` by a compare-and-swap
 *              take     away from the owner: exchange of open, tag = epoch + 1, into `sealed`
 *              due      exchange of `waiting` with a mark; if there was none: `sealed` emptied by an exchange; one bag out of
 *                       both for which epoch >= tag + 2; a plain store of the rest to `waiting`; then what is in it
 *            Memory is NOT sequentially consistent for these words and for what is in a bag: a plain store goes into a
 *            store buffer of one entry, which drains at any time, at the next plain store, and at a fence or a
 *            read-modify-write. A process sees its own buffered store.
 *
 * ABSTRACTED Load-load and store-store reordering (x86 has none; the fences above order them elsewhere). Epoch numbers do
 *            not wrap. Objects and bags are never reused: any use of a freed one is an error. The order of bags in a list.
 *            That a thread which is in a section is not asked for its bag: that only saves it work.
 *
 * INVARIANTS
 *   I1  nobody uses an object that has been freed
 *   I2  a bag is in one place, and emptied once; nothing is put into it afterwards
 *   I3  an object is retired once
 *   I4  in the end each object that was retired is freed, or in a bag that somebody will find
 *
 * TWINS (-DTWIN_name) and what catches them
 *   FREE_AT_TAG_PLUS_ONE   due when epoch >= tag + 1                               I1
 *   NO_FENCE_AT_ENTRY      no fence between active = 1 and what follows            I1
 *   TAG_BEFORE_UNLINK      the epoch is read before the object is unlinked         I1
 *   ADVANCE_UNSEEN         the epoch advances without looking at sections          I1
 *   KEPT_INTO_ANY_EPOCH    the reader uses what it saw before, whatever the epoch  I1
 *   KEPT_INTO_THE_NEXT     the same, also where the epoch is one more              I1
 *   EPOCH_BEFORE_ACTIVE    the reader reads the epoch, then sets active            I1
 *   TAKEN_AS_IF_SEALED     a bag that is taken away is tagged with the epoch       I1
 *   OPEN_BEFORE_ACTIVE     the owner reads open, then sets active                  I2
 *   SEAL_BY_STORE          the owner looks whether it has its bag, then stores     I2
 *   TAKEN_BY_STORE         the helper looks for the bag, then stores               I2
 *   NO_MARK                who has what waits leaves nothing in its place          I4
 *   PUSH_BY_STORE          a bag comes into `sealed` by a load and a store         I4
 */

#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef READS
#define READS 2
#endif
#ifndef TRIES
#define TRIES 2
#endif
#ifndef LAST_EPOCH
#define LAST_EPOCH 6
#endif

/* HURRY: the owner neither seals nor disposes; the helper moves the epoch twice each time. */

#define OWNER 0
#define READER 1
#define HELPER 2
#define PROCESSES 3
#define OBJECTS (ROUNDS + 1)
#define BAGS (ROUNDS + 1) /* each is used once; 0: none */
#define BIT(n) (1 << (n))

/* Words that go through store buffers. */
#define ACTIVE(p) (p)
#define ROOT PROCESSES
#define OPEN (PROCESSES + 1)
#define SEALED (PROCESSES + 2)  /* a set of bags */
#define WAITING (PROCESSES + 3) /* a set of bags, or the mark */
#define CONTENT(b) (PROCESSES + 4 + (b)) /* a set of objects */
#define WORDS (PROCESSES + 4 + BAGS)
#define MARK 255
#define NOTHING 255
byte memory[WORDS];
byte buffered[PROCESSES] = NOTHING; /* which word, NOTHING: the buffer is empty */
byte buffered_value[PROCESSES];

byte epoch = 1;
#define LIVE 0
#define RETIRED 1
#define FREED 2
byte where[OBJECTS];
byte tag[BAGS];
bool emptied[BAGS]; /* ghost */
byte working = PROCESSES;

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
#ifndef TWIN_NO_FENCE_AT_ENTRY
    drain(me);
#endif
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

/* Bag b_, whose tag is there, into the list. */
inline push(b_) {
#ifdef TWIN_PUSH_BY_STORE
    i = LOAD(SEALED) | BIT(b_);
    store(SEALED, i);
    i = 0
#else
    atomic { drain(me); assert(!(memory[SEALED] & BIT(b_))) /* I2 */; memory[SEALED] = memory[SEALED] | BIT(b_) }
#endif
}

/* Takes one bag that is due, and frees what is in it. */
inline dispose() {
    atomic {
        drain(me);
        got = memory[WAITING];
#ifdef TWIN_NO_MARK
        memory[WAITING] = 0
#else
        memory[WAITING] = MARK
#endif
    };
    if
    :: got != MARK ->
        atomic { drain(me); assert(!(got & memory[SEALED])) /* I2 */; got = got | memory[SEALED]; memory[SEALED] = 0 };
        t = epoch;
        d_step {
            b = 1;
            do
            :: b < BAGS && !((got & BIT(b)) && t >= tag[b] + GRACE) -> b++
            :: else -> break
            od;
            if :: b < BAGS -> got = got & ~BIT(b) :: else fi
        };
        store(WAITING, got);
        if
        :: b < BAGS ->
            d_step {
                assert(!emptied[b]); /* I2 */
                emptied[b] = true;
                i = 0;
                do
                :: i < OBJECTS ->
                    if :: LOAD(CONTENT(b)) & BIT(i) -> where[i] = FREED :: else fi;
                    i++
                :: else -> break
                od
            }
        :: else
        fi
    :: else
    fi;
    d_step { got = 0; t = 0; i = 0; b = 0 }
}

proctype Owner(byte me) {
    byte round = 1;
    byte t, i, b, got, old, at, bag, made;
    bool mine;
    do
    :: round < OBJECTS ->
#ifdef TWIN_OPEN_BEFORE_ACTIVE
        bag = LOAD(OPEN);
        enter();
#else
        enter();
        bag = LOAD(OPEN);
#endif
        if
        :: bag == 0 -> made++; bag = made; store(OPEN, bag)
        :: else
        fi;
#ifdef TWIN_TAG_BEFORE_UNLINK
        at = epoch;
#endif
        atomic { drain(me); old = memory[ROOT]; memory[ROOT] = round };
        atomic {
            assert(where[old] == LIVE); /* I3 */
            assert(!emptied[bag]); /* I2 */
            where[old] = RETIRED
        };
        i = LOAD(CONTENT(bag)) | BIT(old);
        store(CONTENT(bag), i);
        d_step { i = 0; old = 0 };
#ifndef HURRY
        if
        :: true ->
#ifdef TWIN_SEAL_BY_STORE
            mine = (LOAD(OPEN) == bag);
            store(OPEN, 0);
#else
            atomic { drain(me); mine = (memory[OPEN] == bag); memory[OPEN] = 0 };
#endif
            if
            :: mine ->
#ifndef TWIN_TAG_BEFORE_UNLINK
                at = epoch;
#endif
                tag[bag] = at;
                push(bag)
            :: else
            fi
        :: true
        fi;
        dispose();
#endif
        d_step { bag = 0; at = 0; mine = false };
        leave();
        advance();
        round++
    :: else -> break
    od;
    drain(me);
    working--
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
    drain(me);
    working--
}

proctype Helper(byte me) {
    byte t, i, b, got, n, bag;
    do
    :: n < TRIES ->
        advance();
#ifdef HURRY
        advance();
#endif
        enter();
#ifdef TWIN_TAKEN_BY_STORE
        bag = LOAD(OPEN);
        store(OPEN, 0);
        drain(me);
#else
        atomic { drain(me); bag = memory[OPEN]; memory[OPEN] = 0 };
#endif
        if
        :: bag != 0 ->
#ifdef TWIN_TAKEN_AS_IF_SEALED
            tag[bag] = epoch;
#else
            tag[bag] = epoch + 1;
#endif
            push(bag)
        :: else
        fi;
        bag = 0;
        dispose();
        leave();
        n++
    :: else -> break
    od;
    drain(me);
    working--
}

init {
    byte n, all;
    atomic {
        run Memory();
        run Owner(OWNER);
        run Reader(READER);
        run Helper(HELPER)
    }
    atomic {
        working == 0 && buffered[0] == NOTHING && buffered[1] == NOTHING && buffered[2] == NOTHING ->
        assert(memory[WAITING] != MARK); /* I4 */
        n = 1;
        do
        :: n < BAGS ->
            if
            :: ((memory[WAITING] | memory[SEALED]) & BIT(n)) || memory[OPEN] == n -> all = all | memory[CONTENT(n)]
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 0;
        do
        :: n < OBJECTS -> assert(where[n] != RETIRED || (all & BIT(n))) /* I4 */; n++
        :: else -> break
        od
    }
}
