/* SPDX-License-Identifier: MIT
 *
 * The last object before the runtime. See first.c.
 */
#include "schedule/data.h"

_Alignas(64) unsigned char schedule_data_last[64] = {1};
_Alignas(64) unsigned char schedule_zero_last[64];
