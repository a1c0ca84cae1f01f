/* SPDX-License-Identifier: MIT
 *
 * Which job a pull takes: the head segment and the ready entries as one order (src/queue/pull.c).
 *
 * MODELLED   Three jobs, by rank: 1 with a key, 2 without an sk (a place at the head segment), 3 with a key. Every access to a shared word is one
 *            step. A producer makes two of them, the smaller one first or last, or both by one commit whose entries go in in either order; a job with
 *            a key has its entry, and is announced, before it is visible. A place is reserved, then published; where the consumer has passed it
 *            over, it is published with an entry. The consumer looks at the head segment, walks the entries one by one, looks again as pull.c does,
 *            and claims; twice. A thief claims one job, the smallest, at any time.
 *
 * ABSTRACTED Memory is sequentially consistent. A claim is one step and takes the entry along. "Spin a little" is a choice. Times, stale entries
 *            and what else consumers do are claim.pml's and headed.pml's.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  a job that is claimed was the smallest that was visible, at an instant of the pull
 *   I2  a pull is empty only if nothing was visible, at an instant of it
 *
 * TWINS (-DTWIN_name; each must fail)
 *   TAKES_AT_ONCE       what is found is taken without another look                         I1
 *   NO_FRONT_AGAIN      nobody asks whether a place was reserved since                      I1
 *   NO_ENTRY_AGAIN      nobody asks whether something became visible behind the look        I1
 *   READY_FIRST         the entries are looked at before the head segment                       I1
 *   PASSED_WITHOUT      a place that was passed over is published without an entry          I1
 *   ANNOUNCES_FIRST     a job is announced before its entry goes in                         I1
 *   LOOKS_ONCE          entries that are left do not ask for a second look                  I1
 */

#define RANKS 4 /* 1..3 */
#define EMPTY 0
#define FRONT 1
#define PASSED 2
#define OVER 3

bool reserved;
byte word = EMPTY; /* of the place */
bool entry[RANKS], visible[RANKS], taken[RANKS];

byte announced;

#define THERE(k_) (visible[k_] && !taken[k_])
#define SMALLEST (THERE(1) -> 1 : (THERE(2) -> 2 : (THERE(3) -> 3 : 0)))

/* Ghost state: which jobs (0: none) were the smallest at an instant of the consumer's pull. */
bool was[RANKS];

inline appear(k_) {
    visible[k_] = true;
    was[SMALLEST] = true
}

inline enter(k_) {
#ifdef TWIN_ANNOUNCES_FIRST
    announced++;
    entry[k_] = true
#else
    entry[k_] = true;
    announced++
#endif
}

inline push_key(k_) {
    enter(k_);
    atomic { appear(k_) }
}

inline push_place() {
    reserved = true;
    if
    :: atomic { word == EMPTY -> word = FRONT; appear(2) }
    :: atomic { word == PASSED -> skip }
#ifndef TWIN_PASSED_WITHOUT
        ; enter(2)
#endif
        ; atomic { word = OVER; appear(2) }
    fi
}

proctype Producer() {
    if
    :: push_place(); push_key(3)
    :: push_key(1); push_key(3)
    :: push_key(1); push_place()
    :: push_key(3); push_key(1)
    :: if :: enter(1); enter(3) :: enter(3); enter(1) fi;
       atomic { visible[1] = true; visible[3] = true; was[SMALLEST] = true }
    fi
}

proctype Thief() {
    byte k;
end: atomic { SMALLEST != 0 -> k = SMALLEST; taken[k] = true; entry[k] = false; was[SMALLEST] = true; k = 0 }
}

#define FIRST (entry[1] -> 1 : (entry[2] -> 2 : (entry[3] -> 3 : 0)))

inline walk() {
    i = 1; found = 0; left = 0; an = announced;
    none = (FIRST == 0);
    do
    :: i == RANKS || found != 0 || none -> break
    :: else -> if :: entry[i] -> if :: THERE(i) -> found = i :: else -> left = left | (1 << i) fi :: else fi; i++
    od
}

proctype Consumer() {
    byte pulls, found, i, at_front, an, left, an0, left0;
    bool saw, none, still;
    do
    :: pulls == 2 -> break
    :: else ->
        d_step { an0 = 0; left0 = 0; was[0] = false; was[1] = false; was[2] = false; was[3] = false; was[SMALLEST] = true }
look:
#ifdef TWIN_READY_FIRST
        walk();
#endif
        at_front = 0;
        saw = reserved;
        if
        :: saw ->
            if
            :: atomic { word == EMPTY -> word = PASSED }
            :: word == FRONT && !taken[2] -> at_front = 2
            :: word == PASSED || word == OVER || taken[2]
            fi
        :: else
        fi;
#ifndef TWIN_READY_FIRST
        walk();
#endif
        /* Whatever may have come before what was found. */
        still = none;
#if defined(TWIN_TAKES_AT_ONCE) || defined(TWIN_NO_ENTRY_AGAIN)
        still = true;
#endif
        if :: !still && found != 0 && FIRST == found -> still = true :: else fi;
#ifdef TWIN_LOOKS_ONCE
        if :: !still && announced == an -> still = true :: else fi;
#else
        if :: !still && announced == an && (left == 0 || (left == left0 && an == an0)) -> still = true :: else fi;
#endif
        left0 = left; an0 = an;
        if :: !still -> goto look :: else fi;
#if !defined(TWIN_TAKES_AT_ONCE) && !defined(TWIN_NO_FRONT_AGAIN)
        if :: at_front == 0 && reserved != saw -> goto look :: else fi;
#endif
        if :: at_front != 0 && (found == 0 || found > 2) -> found = 2 :: else fi;
        if
        :: found != 0 ->
            if
            :: d_step { THERE(found) ->
                   assert(was[found]); /* I1 */
                   taken[found] = true;
                   entry[found] = false }
            :: !THERE(found) -> goto look /* somebody was faster */
            fi
        :: else -> assert(was[0]) /* I2 */
        fi;
        pulls++
    od
}

init {
    atomic { run Producer(); run Consumer(); run Thief() }
}
