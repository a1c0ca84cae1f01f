/* SPDX-License-Identifier: MIT
 *
 * Cells: how they come into the set and the index, and how they leave, in two grace periods.
 *
 * MODELLED   One key A with its cells (ids are never reused; any use of a freed one is an error), the set's and the
 *            index' entry for it, both latches, the version floor, tags, PENDING, tickets; a second item B that a commit
 *            writes together with A. Every access to a shared word is one step.
 *              Put   commit of {A, B}: may meet RACE at any point, may be aborted; makes the cell where there is none
 *              Set   plain set of A       Lock  get_lock of A       Del  delete of A: tombstone, tag and ticket
 *              Reader  get, then query (GET_QUERY); query, then get (QUERY_GET); get_many {A, B} (MANY)
 *              Handler takes mature tickets
 *            A configuration: -DCOMMIT_AB -DSET -DLOCK -DDEL=n -DHANDLERS=n, one reader, -DSTART=LIVE (item and lock), GONE
 *            (a tombstone, mature, with a ticket) or NONE (no cell).
 *            A cell has one head; a record says whether there is an item, the version of the lock, or neither (a tombstone,
 *            which keeps the last version). A burial is one compare-and-swap of the head, from empty or a mature tombstone.
 *
 * ABSTRACTED Sequential consistency. Taking effect and the stamp are one step (commit.pml takes them apart). "Mature" means
 *            that all sections have ended that were active when the tag was read, which is the least that two epochs
 *            guarantee (reclaim.pml). Sweeps, and records that come home (commit.pml): what comes home is no tombstone.
 *            A latched region that changes one word is one step. No allocation failures, no removal of partitions.
 *
 * INVARIANTS
 *   I1  what is used has not been freed
 *   I2  a record takes effect over the record that was in effect, or over an empty head where A was absent
 *   I3  a version that a lock gets is above all that its key ever had, through removal and re-creation too
 *   I4  in the end a key without a cell is absent
 *   I5  at most one ticket for a cell
 *   I6  in the end set and index have the same cell, it holds an item or a lock, all other cells are retired (no leak)
 *   I7  a get returns what was in effect at some time during the call
 *   I8  a snapshot at S, through the set or the index, shows the last record with a stamp of at most S
 *   I10 a double collect shows the store as it was at one instant
 *   I14 what a write does not change it carries over: a set the lock, a lock the item
 *
 * TWINS: see `run`, which prints the invariant that caught each.
 */

#define LIVE 1
#define GONE 2
#define NONE 3
#ifndef START
#define START LIVE
#endif
#ifndef DEL
#define DEL 0
#endif
#ifndef HANDLERS
#define HANDLERS 1
#endif

#define EMPTY 0
#define DEAD 99
#define NO_CELL 0
#define CELLS 5      /* cells are 1 .. CELLS - 1 */

/* Records: made by whom. */
#define FIRST 1      /* the first record, where the start has one */
#define PUT 2        /* record of A of the commit {A, B} */
#define SET_RECORD 3
#define LOCK_RECORD 4
#define TOMBSTONE(n) (5 + (n))
#define RECORDS (5 + DEL)

#define INSTALLING 0
#define ABORTED 31

/* The key A. */
byte set_cell;         /* the set's entry for A; NO_CELL: missing */
byte index_cell;       /* the ordered index' entry for A */
byte head[CELLS];
bool pending[CELLS];
byte floor;            /* of the shard's versions */
bool latch;            /* the shard's */
bool index_latch;      /* the partition's */
byte prev[RECORDS];
byte stamp[RECORDS];
byte version[RECORDS]; /* of the lock, 0: there is none; of a tombstone: the last one */
bool item[RECORDS];    /* there is an item */
bool tomb[RECORDS];
bool tagged[RECORDS];
short tag[RECORDS];    /* who was in a section when the tag was taken, and still is */

/* The key B, which is never removed, and the one commit that writes {A, B}. */
bool b_head;           /* true: the commit's record */
byte put_state;
byte clock = 2;

/* Tickets: at most one for each cell. */
bool ticket[CELLS];
short ticket_tag[CELLS];

/* Ghost state. */
short sections;
short grave[RECORDS];
short cell_grave[CELLS];
#define RETIRED 4096
byte cells_made;
byte now_;             /* record of A in effect, 0: none ever */
byte place[RECORDS];
byte next[RECORDS];
byte last_gone;        /* place of the last record without an item */
byte newest_version;
byte working;          /* processes other than handlers that still run */
byte read_S[2];        /* results of snapshots, judged in the end */
byte read_A[2];
bool read_B[2];

#define BIT(p) (1 << (p))
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define FREED(grave_) (((grave_) & RETIRED) && !((grave_) & BIT(me)))
#define USE(r) assert((r) == EMPTY || (r) == DEAD || !FREED(grave[r])) /* I1 */
#define USE_CELL(c_) assert(!FREED(cell_grave[c_])) /* I1 */
#define ABSENT(r) ((r) == EMPTY || tomb[r]) /* neither item nor lock */
#define LOCK_OF(r) (tomb[r] -> 0 : version[r])
#define STAMP(r) ((r) == PUT -> put_state : stamp[r])
#define UNDONE(r) ((r) == PUT && (put_state == INSTALLING || put_state == ABORTED))

inline enter() { sections = sections | BIT(me) }

inline leave() {
    d_step {
        sections = sections & ~BIT(me);
        i = 0;
        do
        :: i < RECORDS -> grave[i] = grave[i] & ~BIT(me); tag[i] = tag[i] & ~BIT(me); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < CELLS -> cell_grave[i] = cell_grave[i] & ~BIT(me); ticket_tag[i] = ticket_tag[i] & ~BIT(me); i++
        :: else -> break
        od;
        i = 0; h = 0; e = 0; c = 0
    }
}

inline retire(r_) {
    d_step {
        if
        :: r_ != EMPTY && r_ != DEAD -> assert(!(grave[r_] & RETIRED)); grave[r_] = RETIRED | sections
        :: else
        fi
    }
}

inline retire_cell(c_) {
    d_step { assert(!(cell_grave[c_] & RETIRED) && set_cell != c_ && index_cell != c_); /* I6 */ cell_grave[c_] = RETIRED | sections }
}

/* Ghost: record r_ takes effect, at its stamp. */
inline takes_effect(r_) {
    assert(prev[r_] == now_ || (ABSENT(now_) && prev[r_] == EMPTY)); /* I2 */
    if
    :: r_ == LOCK_RECORD ->
        assert(version[r_] > newest_version); /* I3 */
        assert(item[r_] == item[now_]); /* I14 */
        newest_version = version[r_]
    :: r_ != LOCK_RECORD && !tomb[r_] -> assert(version[r_] == LOCK_OF(now_)) /* I14 */
    :: else
    fi;
    place[r_] = place[now_] + 1;
    next[now_] = r_;
    now_ = r_;
    last_gone = (item[r_] -> last_gone : place[r_])
}

/* c = the set's cell of A. */
inline look_up() { atomic { c = set_cell; if :: c != NO_CELL -> USE_CELL(c) :: else fi } }

/* c = the cell of A, made where there is none. */
inline find_or_make() {
    look_up();
    do
    :: c == NO_CELL ->
        atomic { !index_latch -> index_latch = true };
        d_step { c = index_cell; dead = true };
        if
        :: c != NO_CELL ->
            d_step { USE_CELL(c); dead = (head[c] == DEAD) }
        :: else
        fi;
        d_step {
            if
            :: dead -> cells_made++; c = cells_made; assert(c < CELLS); index_cell = c; maker = true
            :: else
            fi;
            dead = false
        };
        index_latch = false;
        atomic {
            !latch ->
            USE_CELL(c);
            if
            :: set_cell != NO_CELL -> c = set_cell
#ifdef TWIN_DEAD_INTO_SET
            :: set_cell == NO_CELL -> set_cell = c
#else
            :: set_cell == NO_CELL && head[c] != DEAD -> set_cell = c
            :: set_cell == NO_CELL && head[c] == DEAD -> c = NO_CELL
#endif
            fi;
            assert(c == NO_CELL || !(cell_grave[c] & RETIRED)) /* I6 */
        };
        if
        :: c == NO_CELL -> look_up()
        :: else -> break
        fi
    :: else -> break
    od;
    skip
}

inline push_ticket() {
    d_step { assert(!ticket[c]) /* I5 */; ticket[c] = true; ticket_tag[c] = sections }
}

inline set_pending() {
    d_step { USE_CELL(c); dead = pending[c]; pending[c] = true };
    if
    :: !dead -> push_ticket()
    :: else
    fi;
    dead = false
}

#ifdef TWIN_IGNORES_MATURITY
#define MATURE(r) ((r) == EMPTY || (!UNDONE(r) && tomb[r]))
#else
#define MATURE(r) ((r) == EMPTY || (!UNDONE(r) && tomb[r] && tagged[r] && tag[r] == 0))
#endif
#define EFFECTIVE(r) (UNDONE(r) -> prev[r] : (r))

#define RAISE_FLOOR(r) floor = MAX(floor, version[r])

/* Before the swap of what has no lock over a tombstone: its version would be lost. */
inline raise_floor() {
    if
#ifndef TWIN_SET_IGNORES_FLOOR
    :: tomb[e] -> d_step { USE(e); RAISE_FLOOR(e) }
#endif
    :: else
    fi
}

/* Removes cell c if it may go; under the latch. h = its head. */
inline dispose() {
    atomic { !latch -> latch = true };
    d_step { USE_CELL(c); h = head[c]; USE(h) };
    removed = false;
    if
    :: h != DEAD ->
        if
#if defined(TWIN_IGNORES_PENDING) || defined(TWIN_PENDING_CLEARED_LAST)
        :: MATURE(h) ->
#else
        :: MATURE(h) && !pending[c] ->
#endif
#ifdef TWIN_OUT_OF_SET_FIRST
            set_cell = NO_CELL;
#endif
#if !defined(TWIN_FLOOR_RAISED_LAST) && !defined(TWIN_NO_FLOOR)
            d_step { if :: h != EMPTY -> RAISE_FLOOR(h) :: else fi };
#endif
            d_step {
                if
#ifdef TWIN_BURY_BY_STORE
                :: true -> head[c] = DEAD; removed = true
#else
                :: head[c] == h -> head[c] = DEAD; removed = true
                :: else
#endif
                fi
            };
            if
            :: removed -> set_cell = NO_CELL
            :: else
            fi
        :: else
        fi;
        if
        :: !removed ->
            d_step { h = head[c]; USE(h) };
#ifdef TWIN_PENDING_CLEARED_LAST
            pending[c] = false;
#endif
#ifdef TWIN_DROP_ON_INSTALLING
            if
            :: !UNDONE(h) && ABSENT(h) -> set_pending()
            :: else
            fi
#else
            if
            :: ABSENT(EFFECTIVE(h)) -> set_pending()
            :: else
            fi
#endif
        :: else
        fi
    :: else
    fi;
    latch = false;
    if
    :: removed ->
#ifdef TWIN_FLOOR_RAISED_LAST
        d_step { if :: h != EMPTY -> RAISE_FLOOR(h) :: else fi };
#endif
#ifdef TWIN_INDEX_UNCHECKED
        atomic { !index_latch -> index_cell = NO_CELL };
#else
        atomic { !index_latch -> if :: index_cell == c -> index_cell = NO_CELL :: else fi };
#endif
#ifdef TWIN_CELL_FREED_AT_ONCE
        cell_grave[c] = RETIRED;
#else
        retire_cell(c);
#endif
        retire(h);
        removed = false
    :: else
    fi
}

#define LOCALS byte i, h, e, c; bool dead, maker, removed

#define RIPE(c_) (ticket[c_] && ticket_tag[c_] == 0)

proctype Handler(byte me) {
    LOCALS;
    do
    :: atomic {
           RIPE(1) || RIPE(2) || RIPE(3) || RIPE(4) ->
           sections = sections | BIT(me);
           if
           :: RIPE(1) -> c = 1
           :: RIPE(2) -> c = 2
           :: RIPE(3) -> c = 3
           :: RIPE(4) -> c = 4
           fi;
           ticket[c] = false
       };
#ifndef TWIN_PENDING_CLEARED_LAST
       d_step { USE_CELL(c); pending[c] = false };
#endif
       dispose();
       leave()
    :: atomic { working == 0 && !ticket[1] && !ticket[2] && !ticket[3] && !ticket[4] -> break }
    od
}

inline finished() { atomic { leave(); working-- } }

/* Commit of {A, B}; may find a lock stale at any point (RACE), may be aborted. */
#if defined(COMMIT_AB)
proctype Put(byte me) {
    LOCALS;
    byte got;
    enter();
again:
    find_or_make();
    do
    :: got == 0 ->
        d_step { USE_CELL(c); h = head[c]; USE(h) };
        if
        :: h == DEAD -> goto again
        :: h != DEAD ->
            e = h;
            raise_floor();
            d_step {
                prev[PUT] = h; item[PUT] = true; version[PUT] = LOCK_OF(h);
                if :: head[c] == h -> head[c] = PUT; got = 1 :: else fi
            }
        fi
    :: got == 0 -> put_state = ABORTED; got = 3 /* RACE before anything is installed */
    :: got == 1 -> b_head = true; got = 2
    :: got == 1 -> put_state = ABORTED; break
    :: got == 2 ->
        d_step {
            if
            :: put_state == INSTALLING -> put_state = clock; takes_effect(PUT)
            :: else
            fi
        };
        break
    :: got == 2 -> put_state = ABORTED; break
    :: got == 3 -> break
    od;
    if
    :: put_state == ABORTED ->
        if :: got == 2 -> b_head = false :: else fi;
        if
        :: got != 3 ->
            d_step { if :: head[c] == PUT -> head[c] = prev[PUT] :: else fi };
            retire(PUT)
        :: else
        fi;
#ifdef TWIN_MAKER_LEAVES_EMPTY
        skip
#else
        if
        :: maker -> dispose()
        :: else
        fi
#endif
    :: else ->
        retire(prev[PUT])
    fi;
    finished()
}
#endif

/* e = effective record of the head h; a commit in the way is aborted by writers. */
inline displace() {
    e = h;
    if
    :: h == PUT ->
        d_step {
            USE(h);
            if :: put_state == INSTALLING -> put_state = ABORTED :: else fi;
            e = EFFECTIVE(h)
        }
    :: else
    fi
}

#if defined(SET)
proctype Set(byte me) {
    LOCALS;
    bool done;
    enter();
    do
    :: !done ->
        find_or_make();
        d_step { USE_CELL(c); h = head[c]; USE(h) };
        if
        :: h != DEAD ->
            displace();
            raise_floor();
            d_step {
                USE_CELL(c);
                prev[SET_RECORD] = e; item[SET_RECORD] = true; version[SET_RECORD] = LOCK_OF(e);
                if
                :: head[c] == h -> head[c] = SET_RECORD; stamp[SET_RECORD] = clock; takes_effect(SET_RECORD); done = true
                :: else
                fi
            }
        :: else
        fi
    :: else -> break
    od;
    retire(e);
    finished()
}
#endif

#if defined(LOCK)
proctype Lock(byte me) {
    LOCALS;
    byte v, f;
    enter();
    do
    :: v == 0 ->
#ifdef TWIN_FLOOR_READ_FIRST
        f = floor;
#endif
        find_or_make();
        d_step { USE_CELL(c); h = head[c]; USE(h); e = (h == DEAD -> EMPTY : EFFECTIVE(h)) };
        if
        :: h != DEAD && LOCK_OF(e) != 0 -> v = version[e]
        :: h != DEAD && LOCK_OF(e) == 0 ->
            displace();
#ifndef TWIN_FLOOR_READ_FIRST
            f = floor;
#endif
#ifdef TWIN_NO_FLOOR
            f = 0;
#endif
            d_step {
                USE_CELL(c);
                prev[LOCK_RECORD] = e; item[LOCK_RECORD] = item[e]; version[LOCK_RECORD] = MAX(version[e], f) + 1;
                if
                :: head[c] == h ->
                    head[c] = LOCK_RECORD; stamp[LOCK_RECORD] = clock; takes_effect(LOCK_RECORD); v = version[LOCK_RECORD]
                :: else
                fi;
                f = 0
            };
            if :: v != 0 -> retire(e) :: else fi
        :: else
        fi
    :: else -> break
    od;
    finished()
}
#endif

#if DEL > 0
proctype Del(byte me; byte n) {
    LOCALS;
    bool done;
    enter();
    do
    :: !done ->
        look_up();
        if
        :: c == NO_CELL -> break
        :: else ->
            d_step { USE_CELL(c); h = head[c]; USE(h) };
            if
            :: h != DEAD ->
                displace();
                if
                :: ABSENT(e) -> break
                :: else
                fi;
                d_step {
                    prev[TOMBSTONE(n)] = e; tomb[TOMBSTONE(n)] = true; version[TOMBSTONE(n)] = version[e];
#ifdef TWIN_DELETE_FORGETS_VERSION
                    version[TOMBSTONE(n)] = 0;
#endif
                    if
                    :: head[c] == h ->
                        head[c] = TOMBSTONE(n); stamp[TOMBSTONE(n)] = clock; takes_effect(TOMBSTONE(n)); done = true
                    :: else
                    fi
                }
            :: else
            fi
        fi
    :: else -> break
    od;
    if
    :: done ->
        retire(e);
        d_step { tagged[TOMBSTONE(n)] = true; tag[TOMBSTONE(n)] = sections };
        set_pending()
    :: else
    fi;
    finished()
}
#endif

/* e = what a reader makes of cell c now: EMPTY if there is no cell or it is DEAD. */
inline read_now() {
    if
    :: c == NO_CELL -> e = EMPTY
    :: else ->
        d_step { USE_CELL(c); e = head[c]; USE(e) };
        if
        :: e == DEAD -> e = EMPTY
        :: e == PUT -> d_step { USE(e); e = EFFECTIVE(e) }
        :: else
        fi
    fi
}

inline get() {
    start = now_;
    look_up();
    read_now();
    d_step {
        USE(e);
        if
        :: !item[e] -> assert(!item[start] || last_gone > place[start]) /* I7 */
        :: else -> assert(place[e] >= place[start]) /* I7 */
        fi;
        start = 0; e = 0; c = 0
    }
}

inline take_snapshot() {
    S = clock;
    d_step { if :: clock == S -> clock = S + 1 :: else fi }
}

/* The newest record of cell c at S; keeps the result for the end. */
inline read_at(slot) {
    read_now();
    do
    :: e != EMPTY && STAMP(e) > S -> d_step { USE(e); e = prev[e]; USE(e) }
    :: else -> break
    od;
    atomic { USE(e); read_S[slot] = S; read_A[slot] = e; e = 0; c = 0 }
}

inline query(slot) {
#ifdef TWIN_INDEX_READ_FIRST
    d_step { c = index_cell; if :: c != NO_CELL -> USE_CELL(c) :: else fi };
    take_snapshot();
#else
    take_snapshot();
    d_step { c = index_cell; if :: c != NO_CELL -> USE_CELL(c) :: else fi };
#endif
    read_at(slot);
    S = 0
}

#ifdef GET_QUERY
proctype Reader(byte me) {
    LOCALS;
    byte start, S;
    enter(); get(); leave();
    enter(); query(0); leave();
    finished()
}
#endif

#ifdef QUERY_GET
proctype Reader(byte me) {
    LOCALS;
    byte start, S;
    enter(); query(0); leave();
    enter(); get(); leave();
    finished()
}
#endif

#ifdef TWIN_COLLECT_TRUSTS_DEAD
#define SETTLED(r) (!UNDONE(r))
#else
#define SETTLED(r) (!UNDONE(r) && (r) != DEAD)
#endif
#define B_NEW (b_head && put_state != INSTALLING && put_state != ABORTED)

#ifdef MANY
/* get_many {A, B}: double collect, else a snapshot through the set. */
proctype Reader(byte me) {
    LOCALS;
    byte a, S, instant_a;
    bool settled = true, b, instant_b;
    enter();
    look_up();
    if
    :: c != NO_CELL -> d_step { USE_CELL(c); a = head[c]; USE(a); settled = SETTLED(a) }
    :: else
    fi;
    d_step { b = b_head; settled = settled && (!b_head || B_NEW) };
    d_step { instant_a = now_; instant_b = B_NEW };
    if
    :: c == NO_CELL -> look_up(); settled = settled && c == NO_CELL
    :: else -> d_step { USE_CELL(c); settled = settled && head[c] == a }
    fi;
    if :: b_head != b -> settled = false :: else fi;
    if
    :: settled ->
        assert(((a == EMPTY || a == DEAD || tomb[a]) && ABSENT(instant_a)) || a == instant_a); /* I10 */
        assert(b == instant_b) /* I10 */
    :: else ->
        d_step { a = 0; instant_a = 0; instant_b = 0; b = 0; h = 0 };
        take_snapshot();
#ifndef TWIN_SNAPSHOT_REUSES_CELL
        look_up();
#endif
        read_at(1);
        d_step { read_B[1] = B_NEW && put_state <= S; S = 0 }
    fi;
    finished()
}
#endif

/* I8 for A: the last record with a stamp of at most S, or nothing where that is a tombstone. */
inline judge(slot) {
    if
    :: read_S[slot] != 0 ->
        n = 0;
        do
        :: next[n] != 0 && STAMP(next[n]) <= read_S[slot] -> n = next[n]
        :: else -> break
        od;
        assert(read_A[slot] == n || (ABSENT(read_A[slot]) && ABSENT(n))) /* I8 */
    :: else
    fi
}

init {
    byte n;
    atomic {
#if START == LIVE || START == GONE
        cells_made = 1; set_cell = 1; index_cell = 1;
        head[1] = FIRST; stamp[FIRST] = 1; version[FIRST] = 1; item[FIRST] = true;
        next[0] = FIRST; place[FIRST] = 1; now_ = FIRST; newest_version = 1;
#endif
#if START == GONE
        item[FIRST] = false; tomb[FIRST] = true; tagged[FIRST] = true; last_gone = 1;
        pending[1] = true; ticket[1] = true;
#endif
#ifdef COMMIT_AB
        run Put(0); working++;
#endif
#ifdef SET
        run Set(1); working++;
#endif
#ifdef LOCK
        run Lock(2); working++;
#endif
        n = 0;
#if DEL > 0
        do
        :: n < DEL -> run Del(3 + n, n); working++; n++
        :: else -> break
        od;
#endif
#if defined(GET_QUERY) || defined(QUERY_GET) || defined(MANY)
        run Reader(5); working++;
#endif
        n = 0;
        do
        :: n < HANDLERS -> run Handler(6 + n); n++
        :: else -> break
        od;
        n = 0
    }
    _nr_pr == 1;
    atomic {
        judge(0);
        judge(1);
        assert(index_cell == set_cell); /* I6 */
        assert(set_cell == NO_CELL || (head[set_cell] != DEAD && !ABSENT(head[set_cell]))); /* I6 */
        assert(set_cell != NO_CELL || ABSENT(now_)); /* I4 */
        n = 1;
        do
        :: n <= cells_made -> assert((n == set_cell) == !(cell_grave[n] & RETIRED)) /* I6 */; n++
        :: else -> break
        od
    }
}
