# SPDX-License-Identifier: MIT
#
# orders.awk FILE...: each ordered access and fence of sources, one a line:
#
#   FILE LINE KIND ORDER FUNCTION ACCESS
#
# KIND is load, store, change (read-modify-write) or fence; ORDER its number in __ATOMIC_; ACCESS the verb and its first
# argument without spaces, with #2, #3, ... where a function has the same text again. LINE is where the line of the statement
# that has the verb begins. With -v relaxed=1 the relaxed ones are among them, with order 0. Verbs are those of
# src/base/atomic.h, the fences of Concurrency Kit, and whatever src/lmdb/atomic.h and src/postgres/atomic.h have.
function flush(    i, n) {
    for (i = 1; i <= lines; i++) {
        if (match(text[i], /^[a-zA-Z_][a-zA-Z_0-9]*\(/))
            name = substr(text[i], 1, RLENGTH - 1)
        else if (match(text[i], /^#[ ]*define[ ]+[a-zA-Z_0-9]+/)) {
            name = substr(text[i], 1, RLENGTH)
            sub(/^#[ ]*define[ ]+/, "", name)
        }
        rest = text[i]
        while (match(rest, file ~ /(lmdb|postgres)\/atomic\.h$/ ? explicit : verbs)) {
            verb = substr(rest, RSTART, RLENGTH - 1)
            sub(/^[^a-z]/, "", verb)
            rest = substr(rest, RSTART + RLENGTH)
            arguments(rest, i)
            order = verb " " all
            if (file !~ /(lmdb|postgres)\/atomic\.h$/)
                order = verb
            order = order ~ /seq_cst/ ? 5 : order ~ /acq_rel/ ? 4 : order ~ /release|fence_store/ ? 3 : \
                order ~ /acquire|fence_load/ ? 2 : 0
            if (order == 0 && !relaxed)
                continue
            kind = verb ~ /fence/ ? "fence" : verb ~ /_load/ ? "load" : verb ~ /_store/ ? "store" : "change"
            access = verb "(" first ")"
            n = ++seen[file, name, access]
            print file, i, kind, order, name, access (n > 1 ? "#" n : "")
        }
    }
    lines = 0
}
# The first argument and all of them, of a call that begins before `rest` in line i, without spaces.
function arguments(rest, i,    depth, c, k) {
    first = all = ""
    depth = 1
    for (k = 1; depth > 0; k++) {
        if (k > length(rest)) {
            if (++i > lines)
                return
            rest = text[i]
            k = 1
        }
        c = substr(rest, k, 1)
        depth += c == "(" ? 1 : c == ")" ? -1 : 0
        if (depth == 0 || c == " ")
            continue
        all = all c
    }
    first = all
    depth = 0
    for (k = 1; k <= length(all); k++) {
        c = substr(all, k, 1)
        depth += c == "(" ? 1 : c == ")" ? -1 : 0
        if (depth == 0 && c == ",") {
            first = substr(all, 1, k - 1)
            return
        }
    }
}
BEGIN {
    verbs = "(^|[^a-zA-Z_0-9])(lki_(load|store|swap|or|and|add|sub|cas|fence)_(relaxed|acquire|release|acq_rel|seq_cst)|ck_pr_fence_[a-z_]+)\\("
    explicit = "(^|[^a-zA-Z_0-9])atomic_[a-z_]+\\("
}
FNR == 1 { flush(); file = FILENAME; comment = 0; name = "-" }
FILENAME ~ /base\/atomic\.h$/ { next }
{
    # Without comments.
    line = $0
    out = ""
    while (line != "") {
        if (comment) {
            if (!match(line, /\*\//)) { line = ""; break }
            line = substr(line, RSTART + 2)
            comment = 0
        } else if (match(line, /\/\*|\/\//)) {
            out = out substr(line, 1, RSTART - 1)
            if (substr(line, RSTART, 2) == "//") break
            line = substr(line, RSTART + 2)
            comment = 1
        } else {
            out = out line
            break
        }
    }
    text[lines = FNR] = out
}
END { flush() }
