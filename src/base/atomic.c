/* SPDX-License-Identifier: MIT
 *
 * What atomic.h needs in test builds: the yield hook, and the variable behind a fence under
 * ThreadSanitizer.
 */
#include "base/atomic.h"

#ifdef LKI_TEST_HOOKS
void (*lki_yield_hook)(void);

void
lki_yield(void)
{
    if (lki_yield_hook != NULL)
        lki_yield_hook();
}
#endif

#ifdef LKI_TSAN
_Atomic(uint32_t) lki_fence_word;
#endif
