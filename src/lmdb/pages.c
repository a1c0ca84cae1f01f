/* SPDX-License-Identifier: MIT
 *
 * See pages.h.
 *
 * The layout is that of LMDB 0.9 (its version 1 of the format): page 0 and 1 are the meta pages, of
 * which the one with the greater transaction is valid; it names the roots of two trees, the free
 * list and the main database; the leaves of the main database name the roots of ours.
 *
 * The walk goes breadth first, so that the limit of visits cuts off leaves. A file may rightly be
 * shorter than its last page: pages that a transaction has taken and given back at once are never
 * written. Then nothing points to them.
 */
#include "lmdb/pages.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT32_C(0xBEEFC0DE)
#define NO_PAGE SIZE_MAX

enum {
    VERSION = 1,
    METAS = 2,
    PAGE_MIN = 512,
    PAGE_MAX = 1 << 16,
    DEPTH_MAX = 32, /* of a cursor of LMDB */
    KEY_MAX = 511,
    /* kinds of pages */
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
    /* flags of nodes */
    NODE_BIG = 1, /* the value lies on overflow pages */
    NODE_TREE = 2,
    /* flags of trees that change how they are laid out, and the one that the free list has */
    TREE_FLAGS = 0x7e,
    TREE_NUMBERS = 0x08,
    FREE_CHUNK = 512
};

typedef struct page_header {
    size_t number;
    uint16_t pad, flags;
    union {
        struct {
            uint16_t lower, upper;
        } room;
        uint32_t overflow_pages;
    } u;
} page_header;

typedef struct node_header {
#if __BYTE_ORDER == __LITTLE_ENDIAN
    uint16_t low, high;
#else
    uint16_t high, low;
#endif
    uint16_t flags, key_size;
} node_header;

typedef struct tree {
    uint32_t pad; /* of the free list: the size of a page */
    uint16_t flags, depth;
    size_t branch_pages, leaf_pages, overflow_pages, entries, root;
} tree;

typedef struct meta {
    uint32_t magic, version;
    void *address;
    size_t map_size;
    tree free, main;
    size_t last_page, transaction;
} meta;

enum { HEADER = offsetof(page_header, u) + 4, NODE = sizeof(node_header) };
_Static_assert(NODE == 8 && (sizeof(size_t) != 8 || (HEADER == 16 && sizeof(meta) == 136)),
               "as LMDB lays them out");

typedef enum which_tree { OF_FREE_LIST, OF_MAIN, OF_OURS } which_tree;

typedef struct visit {
    size_t number;
    uint8_t which, level, depth; /* the root is at level 1, leaves at `depth` */
} visit;

typedef struct walk {
    int fd;
    size_t page_size, file_pages, last_page, transaction;
    unsigned char *page;  /* the one that is visited */
    unsigned char *nodes; /* a bit for each two bytes of it that belong to a node */
    unsigned char *seen;  /* a bit for each page of the file that something points to */
    visit *queue;
    size_t first, count, room, most;
} walk;

static bool
bytes_read(int fd, size_t at, void *bytes, size_t size)
{
    unsigned char *to = bytes;
    while (size != 0) {
        ssize_t done = pread(fd, to, size, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        to += done;
        at += (size_t)done;
        size -= (size_t)done;
    }
    return true;
}

static bool
bit_take(unsigned char *bits, size_t i)
{
    unsigned char bit = (unsigned char)(1u << i % 8);
    bool taken = (bits[i / 8] & bit) == 0;
    bits[i / 8] |= bit;
    return taken;
}

/* ---- what is pointed to ---- */

/* Notes that something points to these pages. False: they are not in the file, or something else
 * points to one, too. */
static bool
pages_take(walk *w, size_t number, size_t count)
{
    if (number < METAS || number > w->last_page || number >= w->file_pages || count == 0 ||
        count > w->last_page - number + 1 || count > w->file_pages - number)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!bit_take(w->seen, number + i))
            return false;
    return true;
}

static lk_status
page_queue(walk *w, size_t number, which_tree which, unsigned level, unsigned depth)
{
    if (!pages_take(w, number, 1))
        return LK_UNAVAILABLE;
    if (w->count == w->most)
        return LK_OK; /* the walk goes no further */
    if (w->count == w->room) {
        size_t room = w->room * 2;
        visit *queue = realloc(w->queue, room * sizeof *queue);
        if (queue == NULL)
            return LK_NO_MEMORY;
        w->queue = queue;
        w->room = room;
    }
    w->queue[w->count++] = (visit){number, (uint8_t)which, (uint8_t)level, (uint8_t)depth};
    return LK_OK;
}

static lk_status
tree_queue(walk *w, const tree *t, which_tree which)
{
    if (t->root == NO_PAGE)
        return t->depth == 0 ? LK_OK : LK_UNAVAILABLE;
    if (t->depth == 0 || t->depth > DEPTH_MAX)
        return LK_UNAVAILABLE;
    return page_queue(w, t->root, which, 1, t->depth);
}

/* A value on overflow pages: *at is where it lies in the file. */
static lk_status
overflow_check(walk *w, const unsigned char *value, size_t size, size_t *at)
{
    page_header header;
    size_t number;
    memcpy(&number, value, sizeof number);
    if (number < METAS || number > w->last_page || number >= w->file_pages ||
        !bytes_read(w->fd, number * w->page_size, &header, HEADER))
        return LK_UNAVAILABLE;
    size_t pages = header.u.overflow_pages;
    if (header.number != number || header.flags != PAGE_OVERFLOW || !pages_take(w, number, pages) ||
        size > pages * w->page_size - HEADER)
        return LK_UNAVAILABLE;
    *at = number * w->page_size + HEADER;
    return LK_OK;
}

/* ---- the free list ---- */

/* Pages in falling order. They may lie behind the end of the file. */
static lk_status
free_pages_check(walk *w, const size_t *numbers, size_t count, size_t *before)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < METAS || numbers[i] > w->last_page || numbers[i] >= *before)
            return LK_UNAVAILABLE;
        *before = numbers[i];
        if (numbers[i] < w->file_pages && !bit_take(w->seen, numbers[i]))
            return LK_UNAVAILABLE;
    }
    return LK_OK;
}

/* A record of it: how many, then their numbers; `at` in the file. */
static lk_status
free_record_check(walk *w, size_t at, size_t size)
{
    size_t numbers[FREE_CHUNK], count, before = SIZE_MAX;
    if (size < sizeof count || !bytes_read(w->fd, at, &count, sizeof count) ||
        count > size / sizeof count - 1)
        return LK_UNAVAILABLE;
    lk_status status = LK_OK;
    for (size_t done = 0; status == LK_OK && done < count;) {
        size_t some = count - done < FREE_CHUNK ? count - done : FREE_CHUNK;
        if (!bytes_read(w->fd, at + (1 + done) * sizeof *numbers, numbers, some * sizeof *numbers))
            return LK_UNAVAILABLE;
        status = free_pages_check(w, numbers, some, &before);
        done += some;
    }
    return status;
}

/* ---- nodes ---- */

static node_header
node_read(const walk *w, size_t at)
{
    node_header node;
    memcpy(&node, w->page + at, sizeof node);
    return node;
}

static size_t
node_at(const walk *w, size_t i)
{
    uint16_t at;
    memcpy(&at, w->page + HEADER + i * sizeof at, sizeof at);
    return at;
}

/* The two bytes of each part of the page belong to one node. */
static bool
node_take(walk *w, size_t at, size_t size)
{
    if (at % 2 != 0 || size > w->page_size - at)
        return false;
    for (size_t i = at; i < at + size; i += 2)
        if (!bit_take(w->nodes, i / 2))
            return false;
    return true;
}

static bool
key_follows(const walk *w, which_tree which, size_t before, size_t at)
{
    lk_bytes left = {w->page + before + NODE, node_read(w, before).key_size};
    lk_bytes right = {w->page + at + NODE, node_read(w, at).key_size};
    if (which != OF_FREE_LIST)
        return lk_bytes_compare(left, right) < 0;
    size_t first, second;
    if (left.size != sizeof first || right.size != sizeof second)
        return false;
    memcpy(&first, left.data, sizeof first);
    memcpy(&second, right.data, sizeof second);
    return first < second && second <= w->transaction;
}

static bool
tree_is_ours(lk_bytes name)
{
    static const char *const names[] = {"items", "locks",  "jobs",   "ready",
                                        "due",   "queues", "expiry", "latchkey"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (lk_bytes_compare(name, lk_string(names[i])) == 0)
            return true;
    return false;
}

/* A database that is named in the main one. Databases of other programs are not looked at. */
static lk_status
named_check(walk *w, size_t at, const node_header *node, size_t size)
{
    tree t;
    const unsigned char *key = w->page + at + NODE;
    if (size != sizeof t)
        return LK_UNAVAILABLE;
    if (!tree_is_ours((lk_bytes){key, node->key_size}))
        return LK_OK;
    memcpy(&t, key + node->key_size, sizeof t);
    return (t.flags & TREE_FLAGS) == 0 ? tree_queue(w, &t, OF_OURS) : LK_UNAVAILABLE;
}

static lk_status
leaf_node_check(walk *w, const visit *v, size_t at)
{
    node_header node = node_read(w, at);
    size_t size = (size_t)node.high << 16 | node.low, where;
    size_t held = node.flags == NODE_BIG ? sizeof where : size;
    size_t whole = NODE + node.key_size + held;
    size_t node_max = ((w->page_size - HEADER) / 2 & ~(size_t)1) - 2;
    bool named = node.flags == NODE_TREE && v->which == OF_MAIN;
    if (node.key_size == 0 || node.key_size > KEY_MAX || whole > node_max ||
        !node_take(w, at, whole) || (node.flags != 0 && node.flags != NODE_BIG && !named))
        return LK_UNAVAILABLE;
    if (named)
        return named_check(w, at, &node, size);
    lk_status status = LK_OK;
    const unsigned char *value = w->page + at + NODE + node.key_size;
    where = v->number * w->page_size + (size_t)(value - w->page);
    if (node.flags == NODE_BIG)
        status = overflow_check(w, value, size, &where);
    if (status != LK_OK || v->which != OF_FREE_LIST)
        return status;
    return node.key_size == sizeof(size_t) ? free_record_check(w, where, size) : LK_UNAVAILABLE;
}

static lk_status
branch_node_check(walk *w, const visit *v, size_t at)
{
    node_header node = node_read(w, at);
    size_t number = (size_t)node.high << 16 | node.low;
#if SIZE_MAX > UINT32_MAX
    number |= (size_t)node.flags << 32;
#endif
    if (node.key_size > KEY_MAX || !node_take(w, at, NODE + (size_t)node.key_size))
        return LK_UNAVAILABLE;
    return page_queue(w, number, (which_tree)v->which, v->level + 1u, v->depth);
}

/* ---- pages ---- */

static lk_status
page_visit(walk *w, const visit *v)
{
    page_header header;
    bool leaf = v->level == v->depth;
    if (!bytes_read(w->fd, v->number * w->page_size, w->page, w->page_size))
        return LK_UNAVAILABLE;
    memcpy(&header, w->page, HEADER);
    size_t lower = header.u.room.lower, upper = header.u.room.upper;
    if (header.number != v->number || header.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH) ||
        lower < HEADER || lower % 2 != 0 || lower > upper || upper > w->page_size)
        return LK_UNAVAILABLE;
    size_t count = (lower - HEADER) / 2, least = leaf || v->which == OF_FREE_LIST ? 1 : 2;
    if (count < least)
        return LK_UNAVAILABLE;
    memset(w->nodes, 0, w->page_size / 16);
    for (size_t i = 0; i < count; i++) {
        size_t at = node_at(w, i);
        if (at < upper || at > w->page_size - NODE)
            return LK_UNAVAILABLE;
        lk_status status = leaf ? leaf_node_check(w, v, at) : branch_node_check(w, v, at);
        if (status != LK_OK)
            return status;
        /* LMDB does not look at the first key of a branch. */
        if (i > (leaf ? 0u : 1u) && !key_follows(w, (which_tree)v->which, node_at(w, i - 1), at))
            return LK_UNAVAILABLE;
    }
    return LK_OK;
}

static lk_status
walk_all(walk *w, const meta *m)
{
    lk_status status = tree_queue(w, &m->free, OF_FREE_LIST);
    if (status == LK_OK)
        status = tree_queue(w, &m->main, OF_MAIN);
    while (status == LK_OK && w->first < w->count) {
        visit v = w->queue[w->first++];
        status = page_visit(w, &v);
    }
    return status;
}

static lk_status
trees_check(int fd, const meta *m, size_t file_size)
{
    size_t page_size = m->free.pad, file_pages = file_size / page_size;
    walk w = {.fd = fd,
              .page_size = page_size,
              .file_pages = file_pages,
              .last_page = m->last_page,
              .transaction = m->transaction,
              .room = 64};
    w.most = file_pages > m->last_page ? LKI_LMDB_VISITS : SIZE_MAX;
    w.page = malloc(page_size);
    w.nodes = malloc(page_size / 16);
    w.seen = calloc(file_pages / 8 + 1, 1);
    w.queue = malloc(w.room * sizeof *w.queue);
    lk_status status = LK_NO_MEMORY;
    if (w.page != NULL && w.nodes != NULL && w.seen != NULL && w.queue != NULL)
        status = walk_all(&w, m);
    free(w.page);
    free(w.nodes);
    free(w.seen);
    free(w.queue);
    return status;
}

/* ---- meta pages ---- */

/* LK_INVALID: this is no meta page. */
static lk_status
meta_read(int fd, size_t number, size_t page_size, meta *m)
{
    page_header header;
    size_t at = number * page_size;
    if (!bytes_read(fd, at, &header, HEADER) || !bytes_read(fd, at + HEADER, m, sizeof *m))
        return LK_INVALID;
    if ((header.flags & PAGE_META) == 0 || m->magic != MAGIC)
        return LK_INVALID;
    return m->version == VERSION ? LK_OK : LK_UNSUPPORTED;
}

static bool
page_size_is_good(size_t size)
{
    return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

/* Is it as LMDB first writes it? Then no transaction has ended yet. */
static bool
meta_is_fresh(const meta *m)
{
    return m->transaction == 0 && m->last_page == METAS - 1 && m->free.root == NO_PAGE &&
           m->main.root == NO_PAGE && page_size_is_good(m->free.pad);
}

/* Judges what LMDB would trust in the meta page that is valid. Transactions with odd numbers write
 * page 1, the others page 0. */
static lk_status
meta_check(const meta *m, size_t number)
{
    size_t page_size = m->free.pad;
    if (m->transaction % METAS != number || m->last_page < METAS - 1 ||
        m->last_page >= m->map_size / page_size || (m->free.flags & TREE_FLAGS) != TREE_NUMBERS)
        return LK_UNAVAILABLE;
    return (m->main.flags & TREE_FLAGS) == 0 ? LK_OK : LK_INVALID; /* another program's */
}

/* Nothing but zeros: no more than the first two pages can be, and more than a meta page begins
 * with.
 */
static bool
file_is_blank(int fd, size_t size)
{
    unsigned char bytes[4096];
    long page_size = sysconf(_SC_PAGESIZE);
    if (page_size <= 0 || size < HEADER || size > METAS * (size_t)page_size)
        return false;
    for (size_t at = 0; at < size;) {
        size_t some = size - at < sizeof bytes ? size - at : sizeof bytes;
        if (!bytes_read(fd, at, bytes, some))
            return false;
        for (size_t i = 0; i < some; i++)
            if (bytes[i] != 0)
                return false;
        at += some;
    }
    return true;
}

/* There is no first meta page. If there is a second one, the first was damaged. */
static lk_status
no_meta(int fd)
{
    meta second;
    long page_size = sysconf(_SC_PAGESIZE);
    bool there = page_size > 0 && meta_read(fd, 1, (size_t)page_size, &second) != LK_INVALID;
    return there ? LK_UNAVAILABLE : LK_INVALID;
}

lk_status
lki_lmdb_pages_check(int fd, bool *is_new)
{
    struct stat about;
    meta metas[METAS];
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return LK_UNAVAILABLE;
    size_t size = (size_t)about.st_size;
    *is_new = size == 0 || file_is_blank(fd, size);
    if (*is_new)
        return LK_OK;
    lk_status status = meta_read(fd, 0, 0, &metas[0]);
    if (status != LK_OK)
        return status == LK_INVALID ? no_meta(fd) : status;
    size_t page_size = metas[0].free.pad;
    if (!page_size_is_good(page_size))
        return LK_UNAVAILABLE;
    status = meta_read(fd, 1, page_size, &metas[1]);
    /* A transaction writes its pages first, behind both meta pages, then the second of these. */
    *is_new = status != LK_OK && size <= METAS * page_size && meta_is_fresh(&metas[0]);
    if (status != LK_OK)
        return *is_new ? LK_OK : status == LK_INVALID ? LK_UNAVAILABLE : status;
    size_t newest = metas[0].transaction < metas[1].transaction;
    if (metas[1].free.pad != page_size)
        return LK_UNAVAILABLE;
    status = meta_check(&metas[newest], newest);
    return status == LK_OK ? trees_check(fd, &metas[newest], size) : status;
}
