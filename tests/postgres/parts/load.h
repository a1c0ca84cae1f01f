/* SPDX-License-Identifier: MIT
 *
 * A load that keeps its books: threads that move money between accounts, hand jobs from one queue
 * to another, and push and finish jobs, while somebody does harm to the server.
 *
 * What was acknowledged is there, what was refused is not, and only what ended in LK_UNKNOWN may be
 * either. Each transfer leaves a receipt in the same step, so the receipts that are there say what
 * the accounts have to hold. No job is lost, none is finished twice.
 */
#ifndef LATCHKEY_TESTS_LOAD_H
#define LATCHKEY_TESTS_LOAD_H

#include <latchkey/latchkey.h>

typedef struct load_figures {
    uint64_t acknowledged, unknown, unavailable, refused;
} load_figures;

/* Runs `harm` in one thread beside the others, and sees that all holds when it has ended. `name`:
 * of this load, different for each process that works on the database. The server must be there
 * when `harm` returns. */
void load_run(lk_db *db, const char *name, void (*harm)(void), load_figures *figures);

/* For `harm`: waits until so many calls more were acknowledged; or in vain, for a minute. */
void load_wait(uint64_t calls);
/* Waits until so many calls more have failed. */
void load_wait_failures(uint64_t calls);

/* What the accounts hold in all is what the receipts say: of all loads. */
void load_check_accounts(lk_db *db);

void load_note(const load_figures *figures);

#endif
