// SPDX-License-Identifier: MIT
//
// The same program, as C++17.
#include "consumer.c"
