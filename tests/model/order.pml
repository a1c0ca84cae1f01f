/* SPDX-License-Identifier: MIT
 *
 * Which job a pull takes: the frontier and the ready entries as one order (src/queue/pull.c).
 *
 * MODELLED   Three jobs, by rank: 1 with a key, 2 without an sk (a place at the frontier), 3 with a key. Every access to a shared word is one
 *            step. A producer makes two of them, the smaller one first, or both by one commit whose entries go in in either order; a job with a
 *            key has its entry before it is visible. A place is reserved, then published; where the consumer has passed it over, it is published
 *            with an entry. The consumer looks at the frontier, walks the entries one by one, looks again as pull.c does, and claims; twice.
 *
 * ABSTRACTED Memory is sequentially consistent. A claim is one step and takes the entry along. "Spin a little" is a choice. Times, stale entries
 *            and other consumers are claim.pml's and headed.pml's.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  no job is claimed while a smaller one is visible that became visible before it
 *
 * TWINS (-DTWIN_name; each must fail)
 *   TAKES_AT_ONCE       the ready job is taken without another look                         I1
 *   NO_FRONT_AGAIN      nobody asks whether a place was reserved since                      I1
 *   NO_ENTRY_AGAIN      nobody asks whether the job's entry is still the first              I1
 *   READY_FIRST         the entries are looked at before the frontier                       I1
 *   PASSED_WITHOUT      a place that was passed over is published without an entry          I1
 */

#define RANKS 4 /* 1..3 */
#define EMPTY 0
#define FRONT 1
#define PASSED 2
#define OVER 3

bool reserved;
byte word = EMPTY; /* of the place */
bool entry[RANKS], visible[RANKS], taken[RANKS];

/* Ghost state. */
byte now = 1, since[RANKS]; /* when it became visible */
byte made;

#define THERE(k_) (visible[k_] && !taken[k_])

inline appear(k_) {
    visible[k_] = true;
    since[k_] = now;
    now++
}

inline push_key(k_) {
    entry[k_] = true;
    atomic { appear(k_) }
}

inline push_place() {
    reserved = true;
    if
    :: atomic { word == EMPTY -> word = FRONT; appear(2) }
    :: atomic { word == PASSED -> skip }
#ifndef TWIN_PASSED_WITHOUT
        ; entry[2] = true
#endif
        ; atomic { word = OVER; appear(2) }
    fi
}

proctype Producer() {
    if
    :: push_place(); push_key(3)
    :: push_key(1); push_key(3)
    :: push_key(1); push_place()
    :: if :: entry[1] = true; entry[3] = true :: entry[3] = true; entry[1] = true fi;
       atomic { visible[1] = true; visible[3] = true; since[1] = now; since[3] = now; now++ }
    fi;
    made++
}

#define FIRST (entry[1] -> 1 : (entry[2] -> 2 : (entry[3] -> 3 : 0)))

proctype Consumer() {
    byte pulls, found, again, i, at_front;
    bool saw;
    do
    :: pulls == 2 -> break
    :: else ->
        again = 0;
look:
#ifdef TWIN_READY_FIRST
        i = 1; found = 0;
        do
        :: i == RANKS || found != 0 -> break
        :: else -> if :: entry[i] -> if :: THERE(i) -> found = i :: else fi :: else fi; i++
        od;
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
        i = 1; found = 0;
        do
        :: i == RANKS || found != 0 -> break
        :: else -> if :: entry[i] -> if :: THERE(i) -> found = i :: else fi :: else fi; i++
        od;
#endif
        if
        :: at_front != 0 && (found == 0 || found > 2) -> found = 2
        :: found == 0 && at_front == 0 -> skip /* LK_EMPTY */
        :: else -> /* a ready job: whatever may have come before it */
#ifndef TWIN_TAKES_AT_ONCE
            if
            :: again == found
            :: else ->
                again = found;
#ifndef TWIN_NO_ENTRY_AGAIN
                if :: FIRST != found -> goto look :: else fi;
#endif
#ifndef TWIN_NO_FRONT_AGAIN
                if :: at_front == 0 && reserved != saw -> goto look :: else fi
#endif
            fi
#endif
        fi;
        if
        :: found != 0 ->
            d_step {
                assert(!(THERE(1) && found > 1 && since[1] < since[found]) && !(THERE(2) && found > 2 && since[2] < since[found])); /* I1 */
                taken[found] = true;
                entry[found] = false
            }
        :: else
        fi;
        pulls++
    od
}

init {
    atomic { run Producer(); run Consumer() }
}
