/* SPDX-License-Identifier: MIT
 *
 * Where the variables of scenario and library lie in memory: the initialised ones, the zeroed ones.
 */
#ifndef LKI_SCHEDULE_DATA_H
#define LKI_SCHEDULE_DATA_H

extern unsigned char schedule_data_first[], schedule_data_last[];
extern unsigned char schedule_zero_first[], schedule_zero_last[];

#endif
