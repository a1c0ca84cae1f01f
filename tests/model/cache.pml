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
 *              Writer    begins a flight on each key of its own (WRITER0, WRITER1; two keys: a commit), writes, ends them. SET
 *                        knows what the keys hold then, DELETE and FAULT do not; a fault may have written or not
 *              Purger    a call on the partition, which changes all its keys (-DPURGE)
 *              Reader    READS reads, one after the other, of any key: finds, looks at mark and word, copies (-DHOLD: keeps
 *                        the entry and copies it after its section, as get_many does); or misses: finds one after all, joins a
 *                        load, leads one, or asks alone
 *              Evictor   throws EVICTIONS entries out, whenever it likes
 *              Holder    takes the latch and keeps it for ever (-DHALT)
 *            -DABSENT: that there is no item is remembered. -DIMPATIENT: who waits for a load may give up, or get no answer from
 *            it. -DNO_MEMORY: where memory runs out an entry cannot be retired, or entered, or a load made.
 *
 * ABSTRACTED Memory is sequentially consistent. Finding an entry is one step: that it is moved in the set meanwhile can only make
 *            a find a miss. Grace: who was in a section when the entry left the table has left it. Ages and expiry. Capacity.
 *            The condition variable: waiting for a load is waiting for its end.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  an entry of the table that is valid holds what the database holds
 *   I2  a read returns no less than what any write had written, or any read returned, that ended before it began
 *   I3  a fill is kept only if no write of its key was under way since its read began
 *   I4  nothing freed is used; nothing is left over at the end; what a write throws out was not valid
 *   I5  after a fault the key is not in the table
 *   I6  loads end, and nobody waits for ever; who finds a valid entry waits for nobody
 *
 * TWINS (-DTWIN_name; each must fail)
 *   NO_MARK                  a write does not mark the entry                                              I1
 *   MARK_AFTER_WRITE         it does when the database has been written to                                I1
 *   FILL_UNCHECKED           a fill does not look at the window of its key                                I1
 *   FILL_CHECKS_BEGUN        only at how many writes have begun                                           I1
 *   FILL_CHECKS_OPEN         only at how many are open                                                    I1
 *   CHECK_BEFORE_LATCH       it looks, then takes the latch                                               I1
 *   UPDATE_NOT_ALONE         a write that met an earlier one enters its item                              I1
 *   UPDATE_UNCHECKED         a write that met a later one enters its item                                 I1
 *   JOIN_UNCHECKED           a reader joins a load from before a write                                    I2
 *   HIT_IGNORES_PARTITION    who finds an entry does not compare the word of its partition                I1
 *   FILL_IGNORES_PARTITION   a fill is kept though a call on the partition is under way                   I1
 *   FILL_TAKES_LATER_WORD    an entry has the word of when it was entered                                 I1
 *   UPDATE_IGNORES_PARTITION a write enters its item though a call on the partition is under way          I1
 *   JOIN_IGNORES_PARTITION   a reader joins a load from before a call on the partition                    I2
 *   FREED_AT_ONCE            an entry that leaves the table is freed without grace                        I4
 *   LOAD_HOLDS_NOTHING       a load has no reference to its answer                                        I4
 *   JOINER_HOLDS_NOTHING     who joined copies the answer without a reference of its own                  I4
 *   FAULT_LEAVES_ENTRY       the end of a write that failed leaves the entry where it is                  I5
 *   FAULT_ENTERS_ITEM        it enters the item                                                           I1
 *   HIT_TAKES_LATCH          a hit counts itself under the latch                                          I6
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

/* Kinds of writers; which keys (bits): all. */
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
#define FILL_OF(reader_, read_) (1 + KEYS + (reader_) * READS + (read_))
#define ITEM_OF(writer_, key_) (1 + KEYS + READERS * READS + (writer_) * KEYS + (key_))
#define ENTRIES ITEM_OF(2, 0)
byte value[ENTRIES];
bool stale[ENTRIES];
byte word[ENTRIES];
byte references[ENTRIES];
byte grace[ENTRIES]; /* sections that have to be left before it is freed */
bool freed[ENTRIES]; /* ghost */

/* Loads, each made at most once. */
#define LOADS (READERS * READS)
bool running[LOADS];
byte load_key[LOADS], load_begun[LOADS], load_word[LOADS];
byte load_readers[LOADS];
bool ended[LOADS];
byte answer[LOADS], answer_entry[LOADS];

byte sections; /* a bit for each reader */

/* Ghost state. */
byte seen[KEYS];                               /* what a read that begins now may not fall below */
byte writes[KEYS], writing[KEYS];              /* begun, under way */
byte load_writes[LOADS];
byte working, finished;
bool finding[READERS];                         /* without having missed */

/* ---- the checks, and how the twins break them ---- */

#define WINDOW_AS(begun_) (open == 0 && begun == (begun_))
#define PARTITION_AS(word_) (PARTITION_OPEN(word_) == 0 && partition == (word_))
#define ARE_AS(begun_, word_) (WINDOW_AS(begun_) && PARTITION_AS(word_))

#define MAY_LEAD(begun_, word_) MAY_FILL(begun_, word_)
#define WORD_FOR_FILL load_word[l]
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
#if KEYS == 2
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

/* What a read has come to. */
#define MISSED 0
#define HIT 1
#define FOUND 2
#define JOINED 3
#define ANSWERED 4
#define LEADS 5
#define ALONE 6

/* The end of a read. */
inline returns(v_) {
    assert((v_) >= floor); /* I2 */
    tell(key, v_);
    finding[me] = false;
    floor = 0; key = 0; e = 0; l = 0; v = 0; role = MISSED;
    i++
}

/* lki_cache_find, lki_entry_is_valid: role is HIT or MISSED. */
inline find() {
    d_step {
        floor = seen[key];
        finding[me] = true;
        e = table[key];
        if
        :: e != 0 -> sections = sections | BIT; role = HIT
        :: else -> finding[me] = false
        fi
    };
    if
    :: role == HIT ->
        d_step {
            USE(e); /* I4 */
            if :: stale[e] -> section_leave(); role = MISSED; e = 0; finding[me] = false :: else fi
        };
        if
        :: role == HIT ->
            d_step {
                USE(e); /* I4 */
                if :: !IS_OF_NOW(e) -> section_leave(); role = MISSED; e = 0; finding[me] = false :: else fi
            }
        :: else
        fi
    :: else
    fi
}

/* The load of a key that a read which begins now may take part in. */
inline load_find() {
    x = 0;
    do
    :: x < LOADS && running[x] && load_key[x] == key && MAY_JOIN(load_begun[x], load_word[x]) -> break
    :: x < LOADS && !(running[x] && load_key[x] == key && MAY_JOIN(load_begun[x], load_word[x])) -> x++
    :: x == LOADS -> break
    od
}

#ifdef TWIN_LOAD_HOLDS_NOTHING
#define load_let_go(e_) skip
#define LOAD_HOLDS 0
#else
#define load_let_go(e_) let_go(e_)
#define LOAD_HOLDS 1
#endif

inline load_free(l_) {
    if :: answer_entry[l_] != 0 -> load_let_go(answer_entry[l_]) :: else fi;
    load_key[l_] = 0; load_begun[l_] = 0; load_word[l_] = 0; load_writes[l_] = 0;
    ended[l_] = false; answer[l_] = 0; answer_entry[l_] = 0
}

inline load_leave(l_) {
    assert(load_readers[l_] > 0); /* I4 */
    load_readers[l_]--;
    if :: load_readers[l_] == 0 -> load_free(l_) :: else fi
}

/* lki_load_begin */
inline load_begin() {
    atomic {
        !latch -> latch = true;
        e = table[key];
        if
        :: e != 0 && IS_VALID(e) -> USE(e); /* I4 */ references[e]++; role = FOUND; latch = false
        :: else -> e = 0
        fi
    };
    if
    :: role == MISSED ->
        d_step {
            load_find();
            if :: x < LOADS -> load_readers[x]++; l = x; role = JOINED; latch = false :: else fi;
            x = 0
        };
        if
        :: role == MISSED ->
            atomic {
                if
                :: MAY_LEAD(begun, partition) ->
                    l = me * READS + i;
                    running[l] = true; load_key[l] = key; load_begun[l] = begun; load_word[l] = partition;
                    load_readers[l] = 1; load_writes[l] = writes[key];
                    role = LEADS
                :: !MAY_LEAD(begun, partition) -> role = ALONE
#ifdef NO_MEMORY
                :: true -> role = ALONE
#endif
                fi;
                latch = false
            }
        :: else
        fi
    :: else
    fi
}

/* lki_load_end: v is the database's answer. */
#ifdef TWIN_CHECK_BEFORE_LATCH
inline load_check() {
    ok = MAY_FILL(load_begun[l], load_word[l]);
    atomic { !latch -> latch = true; running[l] = false }
}
#else
inline load_check() {
    atomic { !latch -> latch = true; running[l] = false; ok = MAY_FILL(load_begun[l], load_word[l]) }
}
#endif

inline load_end() {
    load_check();
    atomic {
#ifdef NO_MEMORY
        if :: true :: ok = false fi;
#endif
        e = 0;
        if
        :: IS_KEPT(v) ->
            e = FILL_OF(me, i);
            value[e] = v; word[e] = WORD_FOR_FILL; references[e] = LOAD_HOLDS;
            if
            :: ok ->
                assert(writing[key] == 0 && writes[key] == load_writes[l]); /* I3 */
                if :: table[key] != 0 -> retire(table[key]) :: else fi;
                references[e]++;
                table[key] = e
            :: else
            fi
        :: else
        fi;
        ok = false;
        answer[l] = v; answer_entry[l] = e; ended[l] = true;
        load_leave(l);
        latch = false;
        assert(ALL_TRUE); /* I1 */
        returns(v)
    }
}

#ifdef TWIN_JOINER_HOLDS_NOTHING
#define JOINER_HOLDS 0
#else
#define JOINER_HOLDS 1
#endif

/* lki_load_wait: the role is ANSWERED, with an entry; or the read has returned; or it is ALONE. */
inline load_wait() {
    atomic {
        if
        :: !latch && ended[l] ->
            e = answer_entry[l];
            v = answer[l];
            if :: e != 0 -> USE(e); /* I4 */ references[e] = references[e] + JOINER_HOLDS :: else fi;
            load_leave(l);
            if :: e != 0 -> role = ANSWERED; v = 0; l = 0 :: else -> returns(v) fi
#ifdef IMPATIENT
        :: !latch -> load_leave(l); role = ALONE; l = 0
#endif
        fi
    };
}

proctype Reader(byte me) {
    byte i, x, key, floor, e, l, v, role;
    bool ok;
    do
    :: i < READS ->
        if
        :: key = 0
#if KEYS == 2
        :: key = 1
#endif
        fi;
        find();
        if
        :: role == HIT ->
#ifdef HOLD
            d_step { USE(e); /* I4 */ references[e]++; section_leave() };
            d_step { USE(e); /* I4 */ v = value[e]; let_go(e); returns(v) }
#else
            atomic { HIT_WAITS; USE(e); /* I4 */ v = value[e]; section_leave(); returns(v) }
#endif
        :: else ->
            load_begin();
            if :: role == JOINED -> load_wait() :: else fi;
            if
            :: role == FOUND -> d_step { USE(e); /* I4 */ v = value[e]; let_go(e); returns(v) }
            :: role == ANSWERED ->
                d_step {
                    USE(e); /* I4 */
                    v = value[e];
                    if :: JOINER_HOLDS -> let_go(e) :: else fi;
                    returns(v)
                }
            :: role == ALONE -> d_step { v = db[key]; returns(v) }
            :: role == LEADS -> v = db[key]; load_end()
            :: else
            fi
        fi
    :: else -> break
    od;
    finished++
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

/* lki_flight_begin */
inline flight_begin() {
    flight_word[key] = partition;
    atomic {
        !latch ->
        begun++; open++;
        flight_begun[key] = begun;
        alone[key] = (open == 1);
        cached[key] = (table[key] != 0);
        writes[key]++; writing[key]++;
        if :: cached[key] && MARKS_BEFORE -> stale[table[key]] = true :: else fi
    }
}

inline write() {
    atomic {
        if
        :: done = true
        :: kind == FAULT -> done = false
        fi;
        key = 0;
        do
        :: key < KEYS ->
            if :: done -> db[key] = NEXT(db[key], kind == DELETE); written[key] = db[key] :: else fi;
            key++
        :: else -> break
        od;
        key = 0; done = false;
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
        open--; writing[key]--;
        ok = KNOWS_ITEM && MAY_UPDATE(alone[key], flight_begun[key], flight_word[key])
    };
    atomic {
        if
        :: cached[key] && table[key] != 0 ->
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
    byte x, key, e;
    byte flight_begun[KEYS], flight_word[KEYS], written[KEYS];
    bool alone[KEYS], cached[KEYS];
    bool ok, done;
    do :: key < KEYS -> flight_begin(); key++ :: else -> break od;
    key = 0;
    write();
    if
    :: MARKS_AFTER -> atomic { !latch -> if :: table[0] != 0 -> stale[table[0]] = true :: else fi }
    :: else
    fi;
    do :: key < KEYS -> flight_end(); key++ :: else -> break od;
    atomic { key = 0; finished++ }
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
        run Purger(); working++;
#endif
#if EVICTIONS > 0
        run Evictor(); working++;
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
