# SPDX-License-Identifier: MIT
#
# How gdb shows what the store is made of: cells, records, slots of jobs, queues. In a program with debug information:
#
#     (gdb) source src/gdb.py
#     (gdb) print *cell            "users"/"alice": value of 5 bytes "hello", stamp 1, lock of version 0x...
#     (gdb) print segment->slots[3]
#     (gdb) print $lk_job_word(slot->word)
#
# It reads memory and calls nothing, so it works on a core file, too. tests/gdb holds it against a program.
import gdb
import gdb.printing

CHAIN_MOST = 3  # records of a chain that are shown
BYTES_MOST = 32  # of a key or of data

DEAD = 1
COMMIT = 1 << 63
KINDS = ("value", "tombstone", "lock alone")
FLAG_INLINE, FLAG_JOB, FLAG_EXPIRES, FLAG_LOCKED = 2, 4, 8, 16
RECORD_BEFORE = 8
PHASES = ("no job", "FRONT", "WAITING", "CLAIMED", "PASSED", "HEADED", "DONE", "LAPSED")
COMMIT_STATES = {1: "INSTALLING", 2: "READY", 3: "ABORTED"}


def number(value):
    """An integer, or a pointer, atomic or not."""
    return int(value.cast(gdb.lookup_type("unsigned long")))


def memory(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size)) if size > 0 else b""


def integer(address, size=8):
    return int.from_bytes(memory(address, size), "little")


def text(data):
    shown = data[:BYTES_MOST]
    quoted = "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else "\\x%02x" % b for b in shown)
    return '"%s"%s' % (quoted, "..." if len(data) > BYTES_MOST else "")


def read(type_name, address):
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer()).dereference()


def keys(cell):
    start = int(cell["bytes"].address)
    pk_size, sk_size = int(cell["pk_size"]), int(cell["sk_size"])
    return "%s/%s" % (text(memory(start, pk_size)), text(memory(start + pk_size, sk_size)))


def stamp(word):
    """The word of a record: not stamped yet, a stamp, or a commit that will tell."""
    if word == 0:
        return "no stamp yet"
    if not word & COMMIT:
        return "stamp %d" % word
    state = number(read("struct lki_commit", word & ~COMMIT)["state"])
    return "of a commit that is %s" % COMMIT_STATES.get(state, "at stamp %d" % (state >> 2))


def job_word(word):
    """The state of a job in one word: job.h says which bits."""
    if word == 0:
        return "EMPTY"
    phase = PHASES[word >> 1 & 7]
    if phase == "DONE":
        return "DONE, stamp %d" % (word >> 4)
    said = "%s, %d receives" % (phase, word >> 4 & 0x7FFF)
    if word >> 20:
        said += ", tick %d" % (word >> 20)
    return said + (", pinned" if word >> 19 & 1 else "")


def record(value):
    """One record, without what lies before it."""
    address, flags, kind = int(value.address), int(value["flags"]), int(value["kind"])
    said = "job: " if flags & FLAG_JOB else ""
    if flags & FLAG_JOB:
        state = read("lki_job", address)["state"]
        said += "%s, %d receives, " % (PHASES[int(state["phase"])], int(state["receives"]))
    holder = value["source"].dereference() if flags & FLAG_JOB else value
    at = int(holder["data"].address)
    held = int(holder["flags"])
    said += KINDS[kind] if kind < len(KINDS) else "kind %d" % kind
    if kind == 0:
        data = memory(at + (held & (FLAG_EXPIRES | FLAG_LOCKED)), min(int(holder["size"]), BYTES_MOST + 1))
        said += " of %d bytes %s" % (int(holder["size"]), text(data))
        if held & FLAG_EXPIRES:
            said += ", expires at %d ms" % integer(at)
    said += ", " + stamp(number(value["word"]))
    if flags & FLAG_LOCKED and not flags & FLAG_JOB:
        said += ", lock of version 0x%x" % integer(int(value["data"].address) + (flags & FLAG_EXPIRES))
    elif kind == 1:
        said += ", last version 0x%x" % integer(int(value["data"].address))
    return said


def chain(address):
    """The record at `address`, and what lies before it: which nobody may need any more, and may be freed."""
    said = []
    try:
        while address > DEAD and len(said) < CHAIN_MOST:
            one = read("struct lki_record", address)
            said.append(record(one))
            address = 0 if int(one["flags"]) & FLAG_INLINE else integer(address - RECORD_BEFORE)
    except gdb.MemoryError:
        said.append("freed")
    return "; before it, or freed: ".join(said)


class Printer:
    def __init__(self, value):
        self.value = value


class Cell(Printer):
    def to_string(self):
        head = number(self.value["item"])
        return "%s: %s" % (keys(self.value), {0: "empty", DEAD: "DEAD"}.get(head) or chain(head))


class Record(Printer):
    def to_string(self):
        return chain(int(self.value.address))


class Slot(Printer):
    def to_string(self):
        cell = number(self.value["cell"])
        said = job_word(number(self.value["word"]))
        return "%s: %s" % (said, keys(read("struct lki_cell", cell)) if cell else "no cell")


class Segment(Printer):
    def to_string(self):
        word = number(self.value["word"])
        return "segment %d: %d of %d places given out%s, %d finished, cursor %d" % (
            int(self.value["number"]), word & 0x7FFF, int(self.value["capacity"]),
            ", sealed" if word & 0x8000 else "", number(self.value["finished"]), number(self.value["cursor"]))


class Queue(Printer):
    def to_string(self):
        partition = self.value["partition"].dereference()
        name = memory(int(partition["pk"].address), int(partition["pk_size"]))
        said = "queue %s%s" % (text(name), ", closed" if number(self.value["closed"]) else "")
        segment = number(self.value["head_segment"])
        while segment:
            one = read("struct lki_segment", segment)
            said += "\n  " + Segment(one).to_string()
            word, following = number(one["word"]), number(one["next"])
            # The next one may be gone where a segment has left; the head segment has not.
            segment = following if not word & 0x8000 or number(one["finished"]) < word & 0x7FFF else 0
        return said


class JobWord(gdb.Function):
    """$lk_job_word(WORD): the state of a job, from its word."""

    def __init__(self):
        super().__init__("lk_job_word")

    def invoke(self, word):
        return job_word(number(word))


printers = gdb.printing.RegexpCollectionPrettyPrinter("latchkey")
for name, printer in (("lki_cell", Cell), ("lki_record", Record), ("lki_slot", Slot), ("lki_segment", Segment), ("lki_queue", Queue)):
    printers.add_printer(name, "^%s$" % name, printer)
gdb.printing.register_pretty_printer(None, printers, replace=True)
JobWord()
