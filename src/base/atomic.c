/* SPDX-License-Identifier: MIT
 *
 * What atomic.h needs under ThreadSanitizer: the variable behind a fence.
 */
#include "base/atomic.h"

#ifdef LKI_TSAN
_Atomic(uint32_t) lki_fence_word;
#endif
