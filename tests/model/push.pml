/* SPDX-License-Identifier: MIT
 *
 * The stamp of a job that is pushed: it is read between the reservation of the place and the publication of the word (src/queue/push.c).
 *
 * MODELLED   One place, one job J in it. Every access to a shared word is one step. The producer reserves, reads the clock, and swaps the word,
 *            whose record carries that stamp; where somebody has passed the place over, he publishes it anew, and stamps it after that, as a set
 *            does. Then he sets the item Y. The other one sets the item Z, then looks for J without a snapshot. The readers take a snapshot
 *            each, then look at J, Z and Y, in any of three orders. Whoever finds the place reserved and empty passes it over, and has not seen J.
 *
 * ABSTRACTED Memory is sequentially consistent (P2, P11, P14 are so). A set is an unstamped record that whoever meets it may stamp.
 *
 * INVARIANTS (an assert each, found by its label)
 *   I1  who sees Y sees J, which was pushed before
 *   I2  a snapshot that was taken after the push had ended has J
 *   I3  two snapshots have an order: not one with J alone and another with Z alone
 *   I4  a snapshot with J and without Z is one before Z, so who has set Z finds J
 *   I5  a snapshot that is taken after another one had J has it too
 *
 * TWINS (-DTWIN_name; each must fail)
 *   STAMPS_FIRST        the clock is read before the place is reserved                            I4
 *   READER_LEAVES       a reader with a snapshot leaves the place that it has found empty         I3
 *   LOOK_LEAVES         who looks without a snapshot does                                         I4
 *   LATE_KEEPS          who was passed over publishes with the stamp that he had                  I4
 */

#define EMPTY 0
#define FRONT 1
#define PASSED 2
#define OVER 3
#ifndef READERS
#define READERS 2
#endif

byte clock = 1;
bool reserved;
byte word = EMPTY, stamp; /* of J; 0: not stamped */
bool there[2];            /* Z, Y */
byte stamps[2];

/* Ghost state. */
bool pushed, set_z, missed; /* J was not there after Z was */
byte had_j, had_z;          /* bits of readers that are through */
byte done;

inline stamped(at_) { atomic { if :: at_ == 0 -> at_ = clock :: else fi } }

inline set(i_) {
    there[i_] = true;
    stamped(stamps[i_])
}

proctype Producer() {
    byte c;
#ifdef TWIN_STAMPS_FIRST
    c = clock;
    reserved = true;
#else
    reserved = true;
    c = clock;
#endif
    if
    :: atomic { word == EMPTY -> stamp = c; word = FRONT }
    :: atomic { word == PASSED ->
#ifdef TWIN_LATE_KEEPS
        stamp = c
#else
        stamp = 0
#endif
        }
        word = OVER;
        stamped(stamp)
    fi;
    pushed = true;
    set(1)
}

proctype Setter() {
    set(0);
    if
    :: !reserved -> missed = true
    :: else ->
#ifdef TWIN_LOOK_LEAVES
        if :: word == EMPTY || word == PASSED -> missed = true :: else fi
#else
        if
        :: atomic { word == EMPTY -> word = PASSED; missed = true }
        :: atomic { word == PASSED -> missed = true }
        :: word == FRONT || word == OVER -> stamped(stamp)
        fi
#endif
    fi
}

inline look_j() {
    if
    :: !reserved
    :: else ->
#ifdef TWIN_READER_LEAVES
        if :: word == EMPTY || word == PASSED :: else -> stamped(stamp); j = (stamp <= s) fi
#else
        if
        :: atomic { word == EMPTY -> word = PASSED }
        :: word == PASSED
        :: word == FRONT || word == OVER -> stamped(stamp); j = (stamp <= s)
        fi
#endif
    fi
}

inline look(i_, seen_) {
    if
    :: !there[i_]
    :: else -> stamped(stamps[i_]); seen_ = (stamps[i_] <= s)
    fi
}

proctype Reader(byte me) {
    byte s, before_j;
    bool j, z, y, after;
    after = pushed;
    before_j = had_j;
    s = clock;
    atomic { if :: clock == s -> clock = s + 1 :: else fi };
    if
    :: skip; look_j(); look(0, z); look(1, y)
    :: skip; look(1, y); look(0, z); look_j()
    :: skip; look(0, z); look_j(); look(1, y)
    fi;
    d_step {
        assert(!y || j); /* I1 */
        assert(!after || j); /* I2 */
        assert(before_j == 0 || j); /* I5 */
        if :: j -> had_j = had_j | (1 << me) :: else fi;
        if :: z -> had_z = had_z | (1 << me) :: else fi;
        done = done | (1 << me)
    }
}

proctype Judge() {
    byte only_j, only_z;
    (_nr_pr == 2); /* Judge and init */
    only_j = had_j & ~had_z;
    only_z = had_z & ~had_j;
    assert(only_j == 0 || only_z == 0); /* I3 */
    assert(only_j == 0 || !missed) /* I4 */
}

init {
    byte i;
    atomic {
        run Judge();
        run Producer();
        run Setter();
        do
        :: i == READERS -> break
        :: else -> run Reader(i); i++
        od
    }
}
