/* SPDX-License-Identifier: MIT
 *
 * The first object of a program: variables of the scenario and the library lie between these and
 * those of last.c, and are brought back for each schedule.
 */
#include "schedule/data.h"

_Alignas(64) unsigned char schedule_data_first[64] = {1};
_Alignas(64) unsigned char schedule_zero_first[64];
/* So that the linker takes that object, and there. */
extern const unsigned char *const schedule_last_one;
const unsigned char *const schedule_last_one = schedule_data_last;
