/* SPDX-License-Identifier: MIT
 *
 * The cache in front of a database: windows of keys and of partitions, marks, fills, loads that others join, entries that
 * are freed a grace period after they left the table.
 *
 * MODELLED   KEYS keys in one partition; they share one window, as keys of a like hash do. A region under the shard's latch
 *            is cut before each further access to what others touch without the latch: the table as finders see it, the
 *            mark of an entry, the word of the partition. Between two cuts it is one step; all interleavings are searched.
 *            The database is a register per key; a write, a read of it is one step, between begin and end of the call. Values
 *            are versions, which grow, and whether the item is there. What ends a call is one step with its last access.
 *              Writer    begins a flight on each key (WRITER0, WRITER1; two keys: a commit; -DAPART: each writer on a key
 *                        of its own), writes, ends them. SET knows what the keys hold then, DELETE and FAULT do not; a
 *                        fault may have written or not
 *              Purger    a call on the partition, which changes all its keys (-DPURGE; -DPURGE=2: two)
 *              Reader    READS calls, one after the other, each of one key or of all (-DMANY), or past the cache, as a query
 *                        does (-DDIRECT). A call looks for its keys in one section: finds an entry, looks at mark, then word.
 *                        All found: it copies them. Else it keeps what it found, leaves the section, and for each of the others
 *                        finds one after all, joins a load, leads one or asks alone; ends the loads that it leads; waits for
 *                        those that it joined; copies what it has kept
 *              Other     writes to the database, past the cache (-DOTHER). Nothing is written through it then
 *              Evictor   throws EVICTIONS entries out, whenever it likes
 *              Holder    takes the latch and keeps it for ever (-DHALT)
 *            -DEMPTY: nothing is in the table at first. -DABSENT: that there is no item is remembered. -DUNSHARED: a read may
 *            neither join a load nor let others join. -DIMPATIENT: who waits for a load may give up, or get no answer from it: then the
 *            load is late, and nobody joins it any more; who waited leads a load of its own, or asks alone.
 *            -DNO_MEMORY: it may be that an entry cannot be retired, or not be entered, or a load not be made.
 *
 * ABSTRACTED Memory is sequentially consistent. Finding an entry is one step: that it is moved in the set meanwhile can only
 *            make a find a miss. A grace period ends when all have left who were in a section as the entry left the table.
 *            Ages and expiry. Capacity. Waiting for a load is waiting for its end, without the condition variable. A write
 *            happens before its call returns, or never: the model says nothing of a database that finishes one after it has
 *            reported a fault.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  an entry of the table that is valid holds what the database holds
 *   I2  a read returns no less than what any write had written, or any read returned, that ended before it began
 *   I3  a fill is kept only if no write of its key was under way since its read began
 *   I4  nothing freed is used; nothing is left over at the end; what a write throws out was not valid
 *   I5  after a fault the key is not in the table
 *   I6  loads end, and nobody waits for ever; who finds a valid entry waits for nobody
 *   I7  also where others write past the cache, a fill never takes the place of a newer one
 *   I8  a load that was waited for in vain is waited for by nobody who comes after that
 *
 * TWINS (-DTWIN_name; each must fail)
 *   NO_MARK                  a write does not mark the entry                                                        I1
 *   MARK_AFTER_WRITE         it does when the database has been written to                                          I1
 *   FILL_UNCHECKED           a fill does not look at the window of its key                                          I3
 *   FILL_CHECKS_BEGUN        only at how many writes have begun                                                     I3
 *   FILL_CHECKS_OPEN         only at how many are open                                                              I3
 *   CHECK_BEFORE_LATCH       it looks, then takes the latch                                                         I3
 *   UPDATE_NOT_ALONE         a write that met an earlier one enters its item, if an entry was left (NO_MEMORY)      I1
 *   UPDATE_UNCHECKED         a write that met a later one enters its item                                           I1
 *   JOIN_UNCHECKED           a reader joins a load from before a write                                              I2
 *   HIT_IGNORES_PARTITION    who finds an entry does not compare the word of its partition                          I1
 *   FILL_IGNORES_PARTITION   a fill is kept though a call on the partition is under way                             I1
 *   FILL_TAKES_LATER_WORD    an entry gets the word of when it is entered                                           I1
 *   UPDATE_IGNORES_PARTITION a write enters its item though a call on the partition is under way                    I1
 *   JOIN_IGNORES_PARTITION   a reader joins a load from before a call on the partition                              I2
 *   FREED_AT_ONCE            an entry that leaves the table is freed without grace                                  I4
 *   LOAD_HOLDS_NOTHING       a load has no reference to its answer                                                  I4
 *   JOINER_HOLDS_NOTHING     who joined copies the answer without a reference of its own                            I4
 *   FLIGHT_HOLDS_NOTHING     a write has no reference to the entry, whose key it needs at its end                   I4
 *   FAULT_LEAVES_ENTRY       the end of a write that failed leaves the entry where it is                            I5
 *   FAULT_ENTERS_ITEM        it enters the item                                                                     I5
 *   HIT_TAKES_LATCH          a hit needs the latch                                                                  I6
 *   WAITS_BEFORE_ENDS        who leads one load and joined another waits first                                      I6
 *   KEPT_OVER_NEWER          a fill is kept though another of its key was kept since it began                       I7
 *   OLDER_ALONE_OVERTAKEN    only by loads that began later                                                         I7
 *   JOINS_LATE               a load is joined though it was waited for in vain                                      I8
 */

#ifndef KEYS
#define KEYS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef READS
#define READS 2
#endif
#ifndef EVICTIONS
#define EVICTIONS 0
#endif

/* Kinds of writers; 0: there is none. */
#define SET 1
#define DELETE 2
#define FAULT 3
#ifndef WRITER0
#define WRITER0 0
#endif
#ifndef WRITER1
#define WRITER1 0
#endif

/* A value: version, absent. */
#define NEXT(v_, absent_) (((v_) / 2 + 1) * 2 + (absent_))
#ifdef ABSENT
#define IS_KEPT(v_) true
#else
#define IS_KEPT(v_) ((v_) % 2 == 0)
#endif

/* The word of the partition: begun, open. */
#define PARTITION_BEGUN 4
#define PARTITION_OPEN(w_) ((w_) % PARTITION_BEGUN)

byte db[KEYS] = 2;
byte table[KEYS]; /* entry of the key; 0: none */
byte begun, open; /* window of the keys */
byte partition;
bool latch;

/* Entries, each made at most once: 1.. those of the beginning, then one for each read and each flight. */
#define LOAD_OF(reader_, read_, key_) (((reader_) * READS + (read_)) * KEYS + (key_))
#define LOADS (READERS * READS * KEYS)
#define FILL_OF(reader_, read_, key_) (1 + KEYS + LOAD_OF(reader_, read_, key_))
#define ITEM_OF(writer_, key_) (1 + KEYS + LOADS + (writer_) * KEYS + (key_))
#define ENTRIES ITEM_OF(2, 0)
byte value[ENTRIES];
bool stale[ENTRIES];
byte word[ENTRIES];
byte references[ENTRIES];
byte grace[ENTRIES]; /* sections that have to be left before it is freed */
bool freed[ENTRIES]; /* ghost */

/* Loads, each made at most once. */
bool running[LOADS];
byte load_key[LOADS], load_begun[LOADS], load_word[LOADS];
byte load_readers[LOADS];
bool ended[LOADS];
bool overtaken[LOADS]; /* another answer was kept since it began */
byte answer[LOADS], answer_entry[LOADS];

byte sections; /* a bit for each reader */

/* Ghost state. */
byte seen[KEYS]; /* what a read that begins now may not fall below */
byte writes[KEYS], writing[KEYS]; /* begun, under way */
byte load_writes[LOADS]; /* begun when it was */
byte load_number[LOADS], numbers; /* the order in which loads began */
bool vain[LOADS]; /* somebody has waited for it in vain */
byte working, finished;
bool finding[READERS]; /* has found entries, and has not missed yet */

/* ---- the checks, and how the twins break them ---- */

#define WINDOW_AS(begun_) (open == 0 && begun == (begun_))
#define PARTITION_AS(word_) (PARTITION_OPEN(word_) == 0 && partition == (word_))
#define ARE_AS(begun_, word_) (WINDOW_AS(begun_) && PARTITION_AS(word_))

#define MAY_LEAD(begun_, word_) MAY_FILL(begun_, word_)
#define WORD_FOR_FILL load_word[l[key]]
#if defined(TWIN_FILL_UNCHECKED)
#define MAY_FILL(begun_, word_) PARTITION_AS(word_)
#elif defined(TWIN_FILL_CHECKS_BEGUN)
#define MAY_FILL(begun_, word_) (begun == (begun_) && PARTITION_AS(word_))
#elif defined(TWIN_FILL_CHECKS_OPEN)
#define MAY_FILL(begun_, word_) (open == 0 && PARTITION_AS(word_))
#elif defined(TWIN_FILL_IGNORES_PARTITION)
#define MAY_FILL(begun_, word_) WINDOW_AS(begun_)
#elif defined(TWIN_FILL_TAKES_LATER_WORD)
#define MAY_FILL(begun_, word_) (WINDOW_AS(begun_) && PARTITION_OPEN(partition) == 0)
#undef WORD_FOR_FILL
#define WORD_FOR_FILL partition
#else
#define MAY_FILL(begun_, word_) ARE_AS(begun_, word_)
#endif

#if defined(TWIN_JOIN_UNCHECKED)
#define MAY_JOIN(begun_, word_) true
#elif defined(TWIN_JOIN_IGNORES_PARTITION)
#define MAY_JOIN(begun_, word_) WINDOW_AS(begun_)
#else
#define MAY_JOIN(begun_, word_) ARE_AS(begun_, word_)
#endif

#if defined(TWIN_UPDATE_NOT_ALONE)
#define MAY_UPDATE(alone_, begun_, word_) ARE_AS(begun_, word_)
#elif defined(TWIN_UPDATE_UNCHECKED)
#define MAY_UPDATE(alone_, begun_, word_) (alone_ && PARTITION_AS(word_))
#elif defined(TWIN_UPDATE_IGNORES_PARTITION)
#define MAY_UPDATE(alone_, begun_, word_) (alone_ && WINDOW_AS(begun_))
#else
#define MAY_UPDATE(alone_, begun_, word_) (alone_ && ARE_AS(begun_, word_))
#endif

#ifdef TWIN_HIT_IGNORES_PARTITION
#define IS_OF_NOW(e_) true
#else
#define IS_OF_NOW(e_) (word[e_] == partition)
#endif
#define IS_VALID(e_) (!stale[e_] && IS_OF_NOW(e_))

#define IS_TRUE(key_) (table[key_] == 0 || !IS_VALID(table[key_]) || value[table[key_]] == db[key_])
#ifdef OTHER
#define ALL_TRUE true
#elif KEYS == 2
#define ALL_TRUE (IS_TRUE(0) && IS_TRUE(1))
#else
#define ALL_TRUE IS_TRUE(0)
#endif

/* ---- entries ---- */

inline let_go(e_) {
    references[e_]--;
    if
    :: references[e_] == 0 -> freed[e_] = true; value[e_] = 0; stale[e_] = 0; word[e_] = 0
    :: else
    fi
}

/* It has left the table. */
inline retire(e_) {
    assert(grace[e_] == 0); /* I4 */
#ifdef TWIN_FREED_AT_ONCE
    let_go(e_);
#else
    grace[e_] = sections;
    if :: grace[e_] == 0 -> let_go(e_) :: else fi
#endif
}

/* For each key of this call. */
#define EACH(body_) key = first; do :: key <= last -> body_; key++ :: else -> break od; key = 0

#define BIT (1 << me)

inline section_leave() {
    sections = sections & ~BIT;
    x = 1;
    do
    :: x < ENTRIES ->
        if
        :: (grace[x] & BIT) != 0 ->
            grace[x] = grace[x] & ~BIT;
            if :: grace[x] == 0 -> let_go(x) :: else fi
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0
}

#define USE(e_) assert(!freed[e_])

/* A read has returned v_; a write has written it. */
inline tell(key_, v_) { if :: seen[key_] < (v_) -> seen[key_] = v_ :: else fi }

/* ---- readers ---- */

#ifdef TWIN_HIT_TAKES_LATCH
#define HIT_WAITS (!latch)
#else
#define HIT_WAITS true
#endif

/* What the read of a key has come to. */
#define MISSED 0
#define HIT 1
#define FOUND 2
#define JOINED 3
#define LEADS 4
#define ALONE 5
#define ANSWERED 6
#define VAIN 7

#define WHERE(role_, body_) if :: role[key] == role_ -> body_ :: else fi

/* lki_cache_find, lki_entry_is_valid: HIT or MISSED. */
inline find() {
    d_step {
        if :: key == first -> sections = sections | BIT :: else fi;
        floor[key] = seen[key];
        e[key] = table[key];
        if :: e[key] != 0 -> role[key] = HIT; finding[me] = true :: else fi
    };
    if
    :: role[key] == HIT ->
        d_step {
            USE(e[key]); /* I4 */
            if :: stale[e[key]] -> role[key] = MISSED; finding[me] = false :: else fi
        };
        WHERE(HIT, d_step {
            USE(e[key]); /* I4 */
            if :: !IS_OF_NOW(e[key]) -> role[key] = MISSED; finding[me] = false :: else fi
        })
    :: else
    fi;
    WHERE(MISSED, e[key] = 0; missing = true)
}

inline copy() {
    USE(e[key]); /* I4 */
    v[key] = value[e[key]]
}

/* A read has returned v. */
inline returns() {
#ifndef OTHER
    assert(v[key] >= floor[key]); /* I2 */
#endif
    tell(key, v[key]);
    floor[key] = 0; e[key] = 0; l[key] = 0; v[key] = 0; role[key] = MISSED
}

/* All by the table alone, in the section. */
inline hit() { d_step { HIT_WAITS; EACH(copy(); returns()); section_leave(); finding[me] = false; i++ } }

/* What was found is kept beyond the section. */
inline hold() {
    d_step {
        EACH(WHERE(HIT, references[e[key]]++; role[key] = FOUND));
        section_leave();
        finding[me] = false; missing = false
    }
}

/* The load of a key that a read which begins now may take part in. */
#define IS_JOINABLE (running[x] && load_key[x] == key && MAY_JOIN(load_begun[x], load_word[x]))
inline load_find() {
    x = 0;
    do
    :: x < LOADS && IS_JOINABLE -> break
    :: x < LOADS && !IS_JOINABLE -> x++
    :: x == LOADS -> break
    od
}

#ifdef TWIN_LOAD_HOLDS_NOTHING
#define LOAD_HOLDS 0
#else
#define LOAD_HOLDS 1
#endif

/* Who leads it or waited for it has done so. */
inline load_leave() {
    assert(load_readers[l[key]] > 0); /* I4 */
    load_readers[l[key]]--;
    if
    :: load_readers[l[key]] == 0 ->
        if :: LOAD_HOLDS && answer_entry[l[key]] != 0 -> let_go(answer_entry[l[key]]) :: else fi;
        load_key[l[key]] = 0; load_begun[l[key]] = 0; load_word[l[key]] = 0; load_writes[l[key]] = 0;
        vain[l[key]] = false; overtaken[l[key]] = false; load_number[l[key]] = 0;
        ended[l[key]] = false; answer[l[key]] = 0; answer_entry[l[key]] = 0
    :: else
    fi
}

#ifdef TWIN_JOINS_LATE
#define STAYS_JOINABLE true
#else
#define STAYS_JOINABLE false
#endif

#ifdef TWIN_OLDER_ALONE_OVERTAKEN
#define IS_OVERTAKEN_BY(mine_, other_) (load_number[other_] < load_number[mine_])
#else
#define IS_OVERTAKEN_BY(mine_, other_) true
#endif

/* The answer of l[key] is kept: what others of that key bring is not, and nobody joins them any more. */
inline overtake() {
    x = 0;
    do
    :: x < LOADS ->
        if
        :: x != l[key] && load_readers[x] > 0 && load_key[x] == key && IS_OVERTAKEN_BY(l[key], x) ->
            overtaken[x] = true; running[x] = false
        :: else
        fi;
        x++
    :: else -> break
    od;
    x = 0
}

/* lki_load_begin */
inline load_begin(patient_) {
    atomic {
        !latch -> latch = true;
        e[key] = table[key];
        if
        :: e[key] != 0 && IS_VALID(e[key]) -> references[e[key]]++; role[key] = FOUND; latch = false
        :: else -> e[key] = 0
        fi
    };
    if :: role[key] != FOUND -> role[key] = MISSED :: else fi;
    shared = true;
#ifdef UNSHARED
    if :: true :: shared = false fi;
#endif
    WHERE(MISSED, d_step { /* I8 */
        load_find();
        if
        :: patient_ && shared && x < LOADS ->
            assert(!vain[x]); /* I8 */
            load_readers[x]++; l[key] = x; role[key] = JOINED; latch = false
        :: else
        fi;
        x = 0
    });
    WHERE(MISSED, atomic {
        if
        :: MAY_LEAD(begun, partition) ->
            l[key] = LOAD_OF(me, i, key);
            running[l[key]] = shared; load_key[l[key]] = key; load_readers[l[key]] = 1;
            load_begun[l[key]] = begun; load_word[l[key]] = partition;
            load_writes[l[key]] = writes[key];
#ifdef TWIN_OLDER_ALONE_OVERTAKEN
            numbers++; load_number[l[key]] = numbers;
#endif
            role[key] = LEADS
        :: !MAY_LEAD(begun, partition) -> role[key] = ALONE
#ifdef NO_MEMORY
        :: true -> role[key] = ALONE
#endif
        fi;
        latch = false
    });
    shared = false
}

inline ask() { if :: role[key] == LEADS || role[key] == ALONE -> v[key] = db[key] :: else fi }

#ifdef TWIN_CHECK_BEFORE_LATCH
inline load_check() {
    ok = MAY_FILL(load_begun[l[key]], load_word[l[key]]);
    atomic { !latch -> latch = true; running[l[key]] = false }
}
#else
inline load_check() {
    atomic {
        !latch -> latch = true;
        running[l[key]] = false;
        ok = MAY_FILL(load_begun[l[key]], load_word[l[key]])
    }
}
#endif

#ifdef TWIN_KEPT_OVER_NEWER
#define NOT_OVERTAKEN true
#else
#define NOT_OVERTAKEN (!overtaken[l[key]])
#endif

inline fill() {
    e[key] = FILL_OF(me, i, key);
    value[e[key]] = v[key]; word[e[key]] = WORD_FOR_FILL; references[e[key]] = LOAD_HOLDS;
    if
    :: ok && NOT_OVERTAKEN ->
        overtake();
#ifdef OTHER
        assert(table[key] == 0 || value[table[key]] <= v[key]); /* I7 */
#endif
        assert(writing[key] == 0 && writes[key] == load_writes[l[key]]); /* I3 */
        if :: table[key] != 0 -> retire(table[key]) :: else fi;
        references[e[key]]++;
        table[key] = e[key]
    :: else
    fi
}

/* lki_load_end */
inline load_end() {
    load_check();
    atomic {
#ifdef NO_MEMORY
        if :: true :: ok = false fi;
#endif
        if :: IS_KEPT(v[key]) -> fill() :: else fi;
        ok = false;
        answer[l[key]] = v[key]; answer_entry[l[key]] = e[key]; ended[l[key]] = true;
        load_leave();
        latch = false;
        e[key] = 0; l[key] = 0;
        assert(ALL_TRUE) /* I1 */
    }
}

#ifdef TWIN_JOINER_HOLDS_NOTHING
#define JOINER_HOLDS 0
#else
#define JOINER_HOLDS 1
#endif

/* lki_load_wait */
inline load_wait() {
    atomic {
        if
        :: !latch && ended[l[key]] ->
            e[key] = answer_entry[l[key]];
            v[key] = answer[l[key]];
            if
            :: e[key] != 0 -> USE(e[key]); /* I4 */ references[e[key]] = references[e[key]] + JOINER_HOLDS
            :: else
            fi;
            role[key] = ANSWERED;
            load_leave()
#ifdef IMPATIENT
        :: !latch && !ended[l[key]] ->
            running[l[key]] = running[l[key]] && STAYS_JOINABLE; vain[l[key]] = true;
            load_leave(); role[key] = VAIN
        :: !latch && ended[l[key]] -> load_leave(); role[key] = VAIN /* its answer is none for others */
#endif
        fi;
        l[key] = 0
    }
}

/* What is held is copied and let go. */
inline hand_over() {
    d_step {
        if
        :: role[key] == FOUND || (role[key] == ANSWERED && e[key] != 0) ->
            copy();
            if :: role[key] == FOUND || JOINER_HOLDS -> let_go(e[key]) :: else fi
        :: else
        fi;
        returns()
    }
}

proctype Reader(byte me) {
    byte i, x, key, first, last;
    byte floor[KEYS], e[KEYS], l[KEYS], v[KEYS], role[KEYS];
    bool missing, shared, ok;
    do
#ifdef DIRECT
    :: i < READS -> d_step { floor[0] = seen[0]; v[0] = db[0]; returns(); i++ }
#endif
    :: i < READS ->
#ifdef MANY
        last = KEYS - 1;
#elif KEYS == 2
        if :: first = 0 :: first = 1 fi;
        last = first;
#endif
        EACH(find());
        if
        :: !missing -> hit()
        :: else ->
            hold();
            EACH(WHERE(MISSED, load_begin(true)));
#ifdef TWIN_WAITS_BEFORE_ENDS
            EACH(WHERE(JOINED, load_wait()));
#endif
            EACH(ask());
            EACH(WHERE(LEADS, load_end()));
            EACH(WHERE(JOINED, load_wait()));
#ifdef IMPATIENT
            EACH(WHERE(VAIN, load_begin(false); ask(); WHERE(LEADS, load_end())));
#endif
            EACH(hand_over());
            i++
        fi
    :: else -> break
    od;
    atomic { first = 0; last = 0; finished++ }
}

/* ---- writers ---- */

#ifdef TWIN_NO_MARK
#define MARKS_BEFORE false
#define MARKS_AFTER false
#else
#ifdef TWIN_MARK_AFTER_WRITE
#define MARKS_BEFORE false
#define MARKS_AFTER true
#else
#define MARKS_BEFORE true
#define MARKS_AFTER false
#endif
#endif

#ifdef TWIN_FLIGHT_HOLDS_NOTHING
#define FLIGHT_HOLDS 0
#else
#define FLIGHT_HOLDS 1
#endif

/* lki_flight_begin */
inline flight_begin() {
    flight_word[key] = partition;
    atomic {
        !latch ->
        begun++; open++;
        flight_begun[key] = begun;
        alone[key] = (open == 1);
        cached[key] = table[key];
        writes[key]++; writing[key]++;
        if :: cached[key] != 0 -> references[cached[key]] = references[cached[key]] + FLIGHT_HOLDS :: else fi;
        if :: cached[key] != 0 && MARKS_BEFORE -> stale[cached[key]] = true :: else fi
    }
}

inline write() {
    atomic {
        if
        :: done = true
        :: kind == FAULT -> done = false
        fi;
        EACH(if :: done -> db[key] = NEXT(db[key], kind == DELETE); written[key] = db[key] :: else fi);
        done = false;
        assert(ALL_TRUE) /* I1 */
    }
}

#ifdef TWIN_FAULT_ENTERS_ITEM
#define KNOWS_ITEM (kind == SET || kind == FAULT)
#else
#define KNOWS_ITEM (kind == SET)
#endif
#ifdef TWIN_FAULT_LEAVES_ENTRY
#define DROPS (kind != FAULT)
#else
#define DROPS true
#endif

inline item_enter() {
    e = ITEM_OF(me, key);
    value[e] = (written[key] == 0 -> NEXT(db[key], 0) : written[key]);
    word[e] = flight_word[key];
    references[e] = 1;
    table[key] = e;
    e = 0
}

/* lki_flight_end */
inline flight_end() {
    atomic {
        !latch -> latch = true;
        USE(cached[key]); /* I4 */
        open--; writing[key]--;
        ok = KNOWS_ITEM && MAY_UPDATE(alone[key], flight_begun[key], flight_word[key])
    };
    atomic {
        if
        :: cached[key] != 0 && table[key] != 0 ->
            assert(stale[table[key]]); /* I4 */
            if
            :: DROPS ->
                retire(table[key]);
                table[key] = 0;
                if :: ok -> item_enter() :: else fi
#ifdef NO_MEMORY
            :: true
            :: retire(table[key]); table[key] = 0
#endif
            :: !DROPS
            fi
        :: else
        fi;
        if :: cached[key] != 0 && FLIGHT_HOLDS -> let_go(cached[key]) :: else fi;
#ifndef NO_MEMORY
        assert(kind != FAULT || table[key] == 0); /* I5 */
#endif
        latch = false;
        tell(key, written[key]);
        flight_begun[key] = 0; flight_word[key] = 0; written[key] = 0; alone[key] = 0; cached[key] = 0; ok = 0;
        assert(ALL_TRUE) /* I1 */
    }
}

proctype Writer(byte me; byte kind) {
    byte x, key, e, first, last;
    byte flight_begun[KEYS], flight_word[KEYS], cached[KEYS], written[KEYS];
    bool alone[KEYS];
    bool ok, done;
#ifdef APART
    first = me;
    last = me;
#else
    last = KEYS - 1;
#endif
    EACH(flight_begin());
    write();
    if
    :: MARKS_AFTER -> atomic { !latch -> if :: table[0] != 0 -> stale[table[0]] = true :: else fi }
    :: else
    fi;
    EACH(flight_end());
    atomic { first = 0; last = 0; finished++ }
}

#ifdef PURGE
proctype Purger() {
    byte key;
    partition = partition + PARTITION_BEGUN + 1;
    d_step {
        do :: key < KEYS -> db[key] = NEXT(db[key], 1); key++ :: else -> break od;
        assert(ALL_TRUE) /* I1 */
    };
    d_step {
        partition--;
        key = 0;
        do :: key < KEYS -> tell(key, db[key]); key++ :: else -> break od;
        key = 0; finished++
    }
}
#endif

#ifdef OTHER
proctype Other() {
    db[0] = NEXT(db[0], 0);
    d_step { db[0] = NEXT(db[0], 0); finished++ }
}
#endif

inline evict(key_) {
    atomic {
        i < EVICTIONS && !latch && table[key_] != 0 ->
        retire(table[key_]);
        table[key_] = 0;
        i++
    }
}

#if EVICTIONS > 0
proctype Evictor() {
    byte i;
    do
    :: evict(0)
#if KEYS == 2
    :: evict(1)
#endif
    :: break
    od;
    atomic { i = 0; finished++ }
}
#endif

#ifdef HALT
proctype Holder() {
    atomic { !latch -> latch = true; finished++ }
}
#endif

init {
    byte i, key;
    d_step {
#ifndef EMPTY
        do
        :: key < KEYS -> key++; table[key - 1] = key; value[key] = 2; references[key] = 1
        :: else -> break
        od;
#endif
        key = 0
    };
    atomic {
        do :: i < READERS -> run Reader(i); working++; i++ :: else -> break od;
        if :: WRITER0 != 0 -> run Writer(0, WRITER0); working++ :: else fi;
        if :: WRITER1 != 0 -> run Writer(1, WRITER1); working++ :: else fi;
#ifdef PURGE
        i = 0;
        do :: i < PURGE -> run Purger(); working++; i++ :: else -> break od;
#endif
#if EVICTIONS > 0
        run Evictor(); working++;
#endif
#ifdef OTHER
        run Other(); working++;
#endif
#ifdef HALT
        run Holder(); working++;
#endif
        i = 0
    };
    timeout;
#ifdef HALT
    do :: i < READERS -> assert(!finding[i]); /* I6 */ i++ :: else -> break od;
    do :: latch od /* no end: who waits for the Holder is no deadlock */
#else
    assert(finished == working); /* I6 */
    assert(open == 0 && PARTITION_OPEN(partition) == 0 && !latch && sections == 0); /* I6 */
    i = 0;
    do :: i < LOADS -> assert(!running[i] && load_readers[i] == 0); /* I6 */ i++ :: else -> break od;
    i = 1;
    do
    :: i < ENTRIES ->
        assert(references[i] == (table[0] == i || table[KEYS - 1] == i -> 1 : 0)); /* I4 */
        i++
    :: else -> break
    od
#endif
}
