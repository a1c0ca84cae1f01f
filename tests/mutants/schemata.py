# SPDX-License-Identifier: MIT
"""All mutants of a C source in one copy of it, each chosen by its number when the program starts.

A mutant is a place in a function and a kind:

    always, never    a condition holds always, or never (of if, of loops only never, of ?:, of a comparison that is a value)
    part             an operand of && or || is left out
    true, false      a compare-and-swap says that it swapped, or that it did not, whatever it did
    out              a statement that is a call, or gives a version or a stamp its value, is left out
    step             + 1, - 1, ++, -- do not step
    bound            < is <=, <= is <, and so on
    version          a version above another one is that other one

What is in the way of a name like `store/cell.c cell_new never: chunk == NULL`: nothing; where two of one function are the same, the
second has #2 behind it. So names do not depend on lines, and stay while the code around them changes.

Not mutated: assertions and checks of whole structures, prefetching, counters (lki_count), pauses, and fences, which tests/schedule/audit
leaves out. Synchronisation is what has a compare-and-swap's or another read-modify-write's result, a latch's, a version, or a call that
stores, swaps, retires, claims or wakes.

Each is an expression around the one that is there, which asks lki_mutant(n) only where the two differ (but for steps, bounds and calls):
who asks has been reached by it.
"""
import re

TOKEN = re.compile(r"""
    (?P<space>\s+|\\\n)|(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)|
    (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<word>[A-Za-z_]\w*)|(?P<number>\.?\d[\w.]*)|
    (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
    """, re.X | re.S | re.M)
QUIET = re.compile(r"LK_ASSERT|_Static_assert|sizeof|__asm__|LKI_PREFETCH\w*|LKI_RELOAD|LKI_TSAN_\w+|lki_tsan_\w+|LKI_DELIBERATE\w*|"
                   r"lki_prefetch\w*|lki_count|lki_stat_add|lki_pause|lk_backoff|lki_fence_\w+|_Alignas|_Alignof|offsetof")
RESULT = re.compile(r"\blki_(?:cas|or|and|swap|add|sub)_\w+\(|\blki_latch_(?:try|take)\w*\(|\bversion\b|_version\b")
SYNC = re.compile(r"\blki_(?:cas|or|and|swap|add|sub|store)_|latch|retire|claim|wake|signal|version|stamp|raise_floor|schedule")
ASSIGNS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
COMPARES = {"<", "<=", ">", ">=", "==", "!="}
STOPS = ASSIGNS | {";", ",", "?", ":", "{", "}", "return"}
CONTROL = {"if", "while", "for", "switch"}


class Source:
    def __init__(self, name, text):
        self.name, self.text = name, text
        self.mutants = []  # name, is it synchronisation, line
        self.edits = []  # from, to, before, after
        self.tokens = []  # text, from, to
        for match in TOKEN.finditer(text):
            if match.lastgroup not in ("space", "comment", "directive"):
                self.tokens.append((match.group(), match.start(), match.end()))
        self.words = [token[0] for token in self.tokens]
        self.match = {}
        open_ones = []
        for i, word in enumerate(self.words):
            if word in ("(", "[", "{"):
                open_ones.append(i)
            elif word in (")", "]", "}") and open_ones:
                j = open_ones.pop()
                self.match[i], self.match[j] = j, i
        self.counts = {}

    # ---- places ----

    def functions(self):
        """Name, first and last token of each body."""
        i = 0
        while i < len(self.words):
            if self.words[i] in ("(", "["):
                i = self.match[i]
            elif self.words[i] == "{":
                if self.words[i - 1] == ")":
                    yield self.words[self.match[i - 1] - 1], i + 1, self.match[i] - 1
                i = self.match[i]
            i += 1

    def skipped(self, first, last):
        """Tokens that are not to be touched."""
        skipped = set()
        for i in range(first, last + 1):
            word = self.words[i]
            if QUIET.fullmatch(word) and self.words[i + 1] == "(":
                skipped.update(range(i, self.match[i + 1] + 1))
            elif word == "enum" or word == "static":
                j = i
                while self.words[j] != ";":
                    j = self.match[j] if self.words[j] in ("(", "{") else j + 1
                skipped.update(range(i, j + 1))
            elif word == "case":
                j = i
                while self.words[j] != ":":
                    j += 1
                skipped.update(range(i, j + 1))
        return skipped

    def left(self, i, stops):
        """The first token of what ends before i."""
        i -= 1
        while self.words[i] not in stops and self.words[i] not in ("(", "["):
            i = self.match[i] - 1 if self.words[i] in (")", "]", "}") else i - 1
        return i + 1

    def right(self, i, stops):
        """The last token of what begins behind i."""
        i += 1
        while self.words[i] not in stops and self.words[i] not in (")", "]"):
            i = self.match[i] + 1 if self.words[i] in ("(", "[", "{") else i + 1
        return i - 1

    def piece(self, first, last):
        return self.text[self.tokens[first][1]:self.tokens[last][2]]

    def is_swap(self, first, last):
        """Is it the result of a compare-and-swap, and nothing else?"""
        while True:
            if self.words[first] == "!":
                first += 1
            elif self.words[first] in ("LKI_LIKELY", "LKI_UNLIKELY") and self.match[first + 1] == last:
                first, last = first + 2, last - 1
            elif self.words[first] == "(" and self.match[first] == last:
                first, last = first + 1, last - 1
            else:
                return self.words[first].startswith("lki_cas_") and self.match.get(first + 1) == last

    def top(self, first, last):
        """The operators outside of all brackets (but the macros of likelihood)."""
        while self.words[first] in ("LKI_LIKELY", "LKI_UNLIKELY") and self.match[first + 1] == last:
            first, last = first + 2, last - 1
        found, i = set(), first
        while i <= last:
            found.add(self.words[i])
            i = self.match[i] + 1 if self.words[i] in ("(", "[", "{") else i + 1
        return found

    # ---- mutants ----

    def add(self, kind, first, last, before, after, sync, shown=None):
        text = " ".join(re.sub(r"/\*.*?\*/", " ", shown or self.piece(first, last), flags=re.S).split())
        name = "%s %s %s: %s" % (self.name, self.function, kind, text)
        count = self.counts[name] = self.counts.get(name, 0) + 1
        line = self.text.count("\n", 0, self.tokens[first][1]) + 1
        self.mutants.append((name if count == 1 else "%s #%d" % (name, count), sync, line))
        number = "lki_mutant(@%d@)" % (len(self.mutants) - 1)
        self.edits.append((self.tokens[first][1], self.tokens[last][2], before.replace("?M", number),
                           after.replace("?M", number)))

    def condition(self, first, last, always=True, kinds=("always", "never")):
        if first > last or any(i in self.skip for i in (first, last)) or self.is_swap(first, last):
            return
        sync, top = bool(RESULT.search(self.piece(first, last))), self.top(first, last)
        if always and ("||" in top or "&&" not in top) and "always" in kinds:
            self.add("always", first, last, "((", ") || ?M)", sync)
        if ("&&" in top or "||" not in top) and "never" in kinds:
            self.add("never", first, last, "((", ") && !?M)", sync)

    def operands(self, i):
        op = self.words[i]
        stops = STOPS | {"||", op}
        first, last = self.left(i, stops), self.right(i, stops)
        for a, b in ((first, i - 1), (i + 1, last)):
            if (a, b) in self.seen or self.is_swap(a, b):
                continue
            self.seen.add((a, b))
            sync = bool(RESULT.search(self.piece(a, b))) and not ({"&&", "||"} & self.top(a, b))
            self.add("part", a, b, "((", ") || ?M)" if op == "&&" else ") && !?M)", sync)

    def compare(self, i):
        """A comparison that is returned, or becomes a value; and its bound."""
        op = self.words[i]
        ends = STOPS | {"&&", "||"}
        first, last = self.left(i, ends), self.right(i, ends)
        if self.words[first - 1] in {"return", "=", "|="} and self.words[last + 1] == ";":
            self.condition(first, last)
        inner = ends | COMPARES | {"&", "|", "^"}
        if op in ("<", ">="):
            self.add("bound", i, self.right(i, inner), "", " + ?M", False, self.piece(first, last))
            a, b, before, after = self.edits.pop()
            self.edits.append((self.tokens[i + 1][1], b, "(" + before, after + ")"))
        elif op in ("<=", ">"):
            self.add("bound", self.left(i, inner), i - 1, "(", " + ?M)", False, self.piece(first, last))

    def statement(self, i, last):
        """The statement that begins at i: a call, or a version that is given its value?"""
        end, j = i, i
        while end <= last and self.words[end] not in (";", "{", "}"):
            end = self.match[end] + 1 if self.words[end] in ("(", "[") else end + 1
        if end > last or self.words[end] != ";" or end == i:
            return
        if self.words[i:i + 3] == ["(", "void", ")"]:
            j = i + 3
        text, swap = self.piece(i, end - 1), self.words[j].startswith("lki_cas_")
        kind, sync = "out", bool(SYNC.search(re.sub(r"\(.*", "", self.piece(j, end - 1), flags=re.S)))
        first = j
        while self.words[first] not in ("(", "=") and first < end:
            first += 1
        if self.match.get(first) == end - 1 and first > j:
            if self.words[j] in CONTROL | {"return"} or QUIET.fullmatch(self.words[j]):
                return
        elif self.words[end - 1] in ("++", "--"):
            kind = "step"
        elif not re.match(r"[\w.>\[\]-]*(version|stamp|expires_at_ms)\w* [-+]?= ", text):
            return
        self.add(kind, i, end, "{ if (!?M) ", " }", sync or swap, text)

    def body(self, first, last):
        words = self.words
        self.skip, self.seen = self.skipped(first, last), set()
        for i in range(first, last + 1):
            if i in self.skip:
                continue
            word, before = words[i], words[i - 1]
            begins = before in (";", "{", "}", "else", "do") or (
                before == ")" and words[self.match[i - 1] - 1] in CONTROL)
            inside_for = any(words[a - 1] == "for" and a < i < self.match[a]
                             for a in range(first, i) if words[a] == "(" and self.match.get(a, 0) > i)
            if begins and not inside_for and word != ")" and word not in CONTROL | {"return", "do", "else", "break", "continue"}:
                self.statement(i, last)
            if word in ("if", "while"):
                self.condition(i + 2, self.match[i + 1] - 1, always=word == "if")
            elif word == "for":
                a = self.right(i + 1, {";"}) + 1
                self.condition(a + 1, self.right(a, {";"}), always=False)
            elif word == "?":
                self.condition(self.left(i, STOPS), i - 1)
            elif word in ("&&", "||"):
                self.operands(i)
            elif word in COMPARES:
                self.compare(i)
            elif word in ("+", "-") and words[i + 1] == "1" and words[i + 2] not in ("*", "<<", "."):
                self.add("step", i + 1, i + 1, "(", " - ?M)", False, self.piece(self.left(i, STOPS | COMPARES | {"&&", "||"}), i + 1))
            elif word.startswith("lki_cas_") and self.match[i + 1] and not (
                    begins or before == ")" and words[i - 2] == "void"):
                self.add("true", i, self.match[i + 1], "(", " || ?M)", True)
                self.add("false", i, self.match[i + 1], "(", " && !?M)", True)
            elif word == "lki_version_above":
                end = self.match[i + 1]
                comma = self.right(i + 1, {","}) + 1
                self.add("version", i, end, "(?M ? (" + self.piece(comma + 1, end - 1) + ") : ", ")", True)

    def mutate(self):
        for self.function, first, last in self.functions():
            if not self.function.endswith("_check"):
                self.body(first, last)

    def rewritten(self, first_number, left_out):
        """The copy. Numbers of the mutants begin at first_number; those at a line of left_out are left out."""
        inserted = []
        for order, (a, b, before, after) in enumerate(self.edits):
            if self.mutants[order][2] in left_out:
                continue
            number = lambda m: str(first_number + int(m.group(1)))
            inserted.append((a, 1, -b, order, re.sub(r"@(\d+)@", number, before)))
            inserted.append((b, 0, -a, -order, re.sub(r"@(\d+)@", number, after)))
        text, at = ["int lki_mutant(unsigned number);\n#line 1\n"], 0
        for where, _, _, _, what in sorted(inserted):
            text += [self.text[at:where], what]
            at = where
        return "".join(text) + self.text[at:]
