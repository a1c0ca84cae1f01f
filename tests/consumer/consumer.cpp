// SPDX-License-Identifier: MIT
//
// The same program, as C++17. The interface of C++ needs no other library: not that of the adapter
// for LMDB, whose header is there.
#include <latchkey/latchkey.hpp>

#include "consumer.c"
