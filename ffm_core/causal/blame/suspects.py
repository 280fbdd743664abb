"""Lines that look like the usual ways to read the future, found by reading the code.

A line found here is no proof. It settles which line of a statement is meant,
and names a place to look where running the code line by line shows nothing:
state kept between calls, files, chance, the clock.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal[
    "ahead", "whole", "coarse", "state", "edit", "file", "chance", "clock", "divide"
]


class Suspect(NamedTuple):
    """A line and why it was noticed; ``sure`` when it hardly ever is innocent.

    ``shared`` marks a value that all instances of a class hold in common.
    """

    line: int
    why: str
    kind: Kind
    sure: bool = True
    shared: bool = False


# What a check that failed points at, likeliest first.
KINDS: dict[str, tuple[Kind, ...]] = {
    "prefix": ("ahead", "whole", "coarse", "state"),
    "mutation": ("ahead", "whole", "coarse"),
    "repaint": ("ahead", "whole", "coarse"),
    "horizon": ("ahead", "whole", "coarse"),
    "history": ("whole", "state"),
    "rows": ("whole", "ahead", "state"),
    "purity": ("edit", "state", "chance", "clock", "file"),
    "determinism": ("chance", "clock", "state", "file"),
    "stream": ("state", "ahead", "whole"),
    "access": ("file", "clock"),
    "values": ("divide",),
}

_BACKWARD = {"bfill", "backfill", "backward_fill"}
_BOTH_SIDES = {
    "filtfilt", "savgol_filter", "sosfiltfilt", "hilbert", "argrelextrema", "argrelmax",
    "argrelmin", "find_peaks", "detrend", "gaussian_filter1d", "uniform_filter1d",
    "median_filter", "seasonal_decompose", "rfft", "fft", "interpolate",
}  # fmt: skip
_STATISTICS = {
    "mean", "std", "var", "median", "max", "min", "sum", "rank", "quantile", "percentile",
    "nanmean", "nanstd", "nanmax", "nanmin", "nanmedian", "nanquantile", "nanpercentile",
    "nansum", "rankdata", "argsort", "argmax", "argmin", "qcut", "cut", "histogram",
    "fit_transform", "zscore", "bincount", "average", "corrcoef", "cov", "polyfit", "lstsq",
    "idxmax", "idxmin", "ptp", "amax", "amin",
}  # fmt: skip
_WINDOWED = {"rolling", "expanding", "ewm", "cumsum", "sliding_window_view", "windows"}
_COARSE = {"group_by_dynamic", "resample", "upsample", "groupby_dynamic"}
_OPENERS = {
    "open", "read_csv", "read_parquet", "scan_csv", "scan_parquet", "read_text", "read_bytes",
    "urlopen", "loadtxt", "genfromtxt", "memmap", "read_sql", "connect", "write_text", "savez",
    "urlretrieve", "create_connection", "read_json", "read_table", "read_ipc",
}  # fmt: skip
_NETWORK = {"requests", "urllib", "httpx", "socket", "aiohttp", "sqlite3", "shelve"}
_CLOCKS = {"now", "utcnow", "today", "perf_counter", "time_ns", "monotonic", "localtime", "gmtime"}
_DRAWS = {
    "random", "rand", "randn", "randint", "choice", "shuffle", "permutation", "normal", "uniform",
    "standard_normal", "gauss", "sample", "urandom", "uuid4", "uuid1", "getrandbits",
}  # fmt: skip
_CACHES = {"lru_cache", "cache", "cached", "memoize", "memory"}
_MACHINE = {
    "getpid", "getppid", "cpu_count", "thread_pool_size", "active_count", "get_ident",
    "gethostname", "get_num_threads", "id",
}  # fmt: skip
_GROWING = {"append", "update", "setdefault", "add", "extend", "insert"}


def suspects(source: str | Path | ast.AST) -> list[Suspect]:
    """Return the lines of a source that look like the usual faults, in order.

    Parameters
    ----------
    source : str, Path or ast.AST
        A file, its text, or a part of it that has been parsed.

    Returns
    -------
    list of Suspect
        Empty when the source cannot be parsed.
    """
    if not isinstance(source, ast.AST):
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
        try:
            source = ast.parse(text)
        except (SyntaxError, ValueError):
            return []
    found = set(_kept(source))
    for node in ast.walk(source):
        found.update(_of(node))
    return sorted(found, key=lambda s: (s.line, not s.sure, s.kind, s.why))


def _of(node: ast.AST) -> Iterator[Suspect]:
    if isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Subscript):
        yield from _subscript(node)
    elif isinstance(node, ast.Assign | ast.AugAssign):
        yield from _assigned(node)
    elif isinstance(node, ast.For | ast.comprehension):
        if _unordered(node.iter):
            yield Suspect(node.iter.lineno, "a set has no order of its own", "chance")
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        if _number(node.right) is None:
            yield Suspect(node.lineno, "divides by what may be zero", "divide", False)
    elif isinstance(node, ast.Compare):
        if any(_ahead(part) or _short(part) for part in (node.left, *node.comparators)):
            yield Suspect(
                node.lineno, "leaves out rows whose later bars are missing", "ahead", False
            )
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield Suspect(node.lineno, "keeps state outside the function", "state")


def _unordered(node: ast.expr) -> bool:
    """Whether a loop goes over a set, as it comes."""
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = _name(node.func)
    if name in ("enumerate", "zip", "list", "tuple"):
        return any(_unordered(part) for part in node.args)
    return name in ("set", "frozenset")


def _number(node: ast.expr | None) -> float | None:
    """Return a literal number, signs and all."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    return None


def _negative(node: ast.expr | None) -> bool:
    """Whether an expression is negative, or is written with a minus in front."""
    value = _number(node)
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    return minus if value is None else value < 0


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _line(node: ast.Call) -> int:
    """Return the line of a call's name; a chain may span many."""
    return node.func.end_lineno or node.lineno


def _call(node: ast.Call) -> Iterator[Suspect]:
    name, line = _name(node.func), _line(node)
    words = {k.arg: k.value for k in node.keywords if k.arg}
    if name in ("shift", "diff", "pct_change"):
        amount = node.args[0] if node.args else words.get("n", words.get("periods"))
        if _negative(amount):
            yield Suspect(line, f"{name} by a negative number takes a later bar", "ahead")
    if name == "roll" and _negative(node.args[1] if len(node.args) > 1 else words.get("shift")):
        yield Suspect(line, "roll by a negative number takes a later bar", "ahead")
    yield from _options(name, words, line)
    if name in _BACKWARD:
        yield Suspect(line, "fills gaps with later values", "ahead")
    if name in _BOTH_SIDES:
        yield Suspect(line, f"{name} reads bars on both sides", "ahead", name != "interpolate")
    if name == "range" and len(node.args) == 3 and _negative(node.args[2]):
        yield Suspect(line, "walks from the last bar to the first", "ahead", False)
    if name == "reversed":
        yield Suspect(line, "walks from the last bar to the first", "ahead", False)
    if name == "convolve" and _text(words.get("mode", _second(node, 2))) == "same":
        yield Suspect(line, "convolve with mode 'same' centres the window", "ahead")
    yield from _moved_up(node, name, line)
    yield from _statistic(node, name, line, words)
    if name in _COARSE:
        yield Suspect(line, "a bar of a higher timeframe is known only at its end", "coarse", False)
    yield from _outside(node, name, line)


def _second(node: ast.Call, place: int) -> ast.expr | None:
    return node.args[place] if len(node.args) > place else None


def _text(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _options(name: str, words: dict[str, ast.expr], line: int) -> Iterator[Suspect]:
    center = words.get("center")
    if isinstance(center, ast.Constant) and center.value:
        yield Suspect(center.lineno, "a centred window reads later bars", "ahead")
    for word in ("strategy", "direction", "method", "limit_direction", "mode"):
        value = _text(words.get(word))
        joins = "join" in name or "merge" in name
        if joins and value in ("nearest", "forward"):
            where = words[word].lineno
            yield Suspect(where, f"a join with {word}={value!r} finds later rows", "ahead")
        if not joins and value in (*_BACKWARD, "backward") and word != "direction":
            yield Suspect(line, "fills gaps with later values", "ahead")


def _moved_up(node: ast.Call, name: str, line: int) -> Iterator[Suspect]:
    """Yield joins whose first part begins at a later bar, or is a difference to the next."""
    if name not in ("append", "concatenate", "hstack", "r_", "insert") or not node.args:
        return
    first = node.args[0]
    if isinstance(first, ast.List | ast.Tuple) and first.elts:
        first = first.elts[0]
    if isinstance(first, ast.Subscript) and isinstance(first.slice, ast.Slice):
        low = first.slice.lower
        if low is not None and not _negative(low) and first.slice.upper is None:
            yield Suspect(line, "later values are moved to earlier rows", "ahead")
    inner = next((n for n in ast.walk(first) if isinstance(n, ast.Call)), None)
    if inner is not None and _name(inner.func) == "diff":
        yield Suspect(line, "the difference to the next bar stands at this one", "ahead")


def _statistic(
    node: ast.Call, name: str, line: int, words: dict[str, ast.expr]
) -> Iterator[Suspect]:
    if name == "over":
        yield Suspect(line, "a value over a whole group knows its later rows", "whole")
    if name not in _STATISTICS or "axis" in words:
        return
    chain = [_name(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
    if _WINDOWED & set(chain) or any(part.startswith(("rolling", "cum")) for part in chain):
        return
    if any(isinstance(n, ast.Slice) for n in ast.walk(node)):
        return
    whole = bool(node.args) or isinstance(node.func, ast.Attribute)
    if name in ("max", "min", "sum") and isinstance(node.func, ast.Name):
        whole = False  # of a few numbers, as a rule
    if whole:
        yield Suspect(line, f"{name} over a whole column knows its later rows", "whole", False)


def _outside(node: ast.Call, name: str, line: int) -> Iterator[Suspect]:
    owner = ast.unparse(node.func).split(".")[:-1]
    if name in _OPENERS or (owner and owner[0] in _NETWORK):
        yield Suspect(line, "opens a file or the network", "file")
    if name in _CLOCKS or owner[:1] == ["time"]:
        yield Suspect(line, "reads the clock", "clock")
    drawn = name in _DRAWS and bool(set(owner) & {"random", "os", "uuid"})
    drawn = drawn and not any(isinstance(n, ast.Call) for n in ast.walk(node.func))
    if drawn or (name == "default_rng" and not node.args) or (name == "Random" and not node.args):
        yield Suspect(line, "draws without a seed of its own", "chance")
    if name == "seed" and "random" in owner:
        yield Suspect(line, "seeds a generator that all code shares", "chance")
    if name in _MACHINE and (name == "id") == (not owner):
        yield Suspect(line, f"{name}() differs from process to process", "chance")
    if name == "hash" and not owner:
        yield Suspect(line, "hash() of text differs from process to process", "chance")
    if name in ("Thread", "ThreadPoolExecutor", "Pool", "ProcessPoolExecutor"):
        yield Suspect(line, "the order of threads is no order", "chance", False)
    if name in ("setflags", "sort", "resize", "partition", "insert_column", "replace_column"):
        yield Suspect(line, "changes values in place", "edit", False)


def _subscript(node: ast.Subscript) -> Iterator[Suspect]:
    index = node.slice
    if isinstance(index, ast.Slice):
        if _number(index.step) == -1:
            yield Suspect(node.lineno, "reverses time", "ahead", False)
        elif _ahead(index.lower):
            yield Suspect(node.lineno, "a slice that begins after the row", "ahead", False)
        return
    for part in index.elts if isinstance(index, ast.Tuple) else [index]:
        if _ahead(part) or _bounded(part):
            yield Suspect(node.lineno, "an index after the row reads a later bar", "ahead")
        elif _number(part) == -1 and isinstance(node.ctx, ast.Load):
            yield Suspect(node.lineno, "[-1] is the last value of the series", "whole", False)


def _ahead(node: ast.expr | None) -> bool:
    """Whether an index is a name plus a positive number, such as ``t + 1``."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return False
    left, right = _number(node.left), _number(node.right)
    return (left is None) != (right is None) and (left or 0) + (right or 0) > 0


def _short(node: ast.expr) -> bool:
    """Whether an expression is the length of something less a number."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub):
        return False
    counted = isinstance(node.left, ast.Call) and _name(node.left.func) == "len"
    return counted and (_number(node.right) or 0) > 0


def _bounded(node: ast.expr) -> bool:
    """Whether an index is such a sum that is kept inside the series: ``min(t + 1, last)``."""
    if not isinstance(node, ast.Call) or _name(node.func) not in ("min", "minimum", "clip"):
        return False
    return any(_ahead(part) for part in node.args)


def _assigned(node: ast.Assign | ast.AugAssign) -> Iterator[Suspect]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if not isinstance(target, ast.Subscript):
            continue
        index = target.slice
        value = node.value
        shortened = isinstance(index, ast.Slice) and _negative(index.upper)
        later = any(
            isinstance(n, ast.Slice) and n.lower is not None and not _negative(n.lower)
            for n in ast.walk(value)
        )
        if shortened and later:
            yield Suspect(node.lineno, "later values are moved to earlier rows", "ahead")
        if ast.unparse(target.value).startswith(("bars.", "orders.", "view.")):
            yield Suspect(node.lineno, "edits what it was given", "edit")


def _kept(tree: ast.AST) -> Iterator[Suspect]:
    """Yield lines where functions keep something for later calls."""
    body = getattr(tree, "body", [])
    shared = _held_by(body) | {
        node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node)
        elif isinstance(node, ast.FunctionDef):
            yield from _of_function(node, shared)


def _held_by(body: list[ast.stmt]) -> set[str]:
    """Return names of lists, dicts and made objects that some statements assign."""
    return {
        target.id
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Dict | ast.List | ast.Set | ast.Call)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def _of_class(node: ast.ClassDef) -> Iterator[Suspect]:
    """Yield lines where an instance takes what the class holds for its own."""
    held = _held_by(node.body)
    for part in ast.walk(node):
        if not isinstance(part, ast.Assign) or not isinstance(part.value, ast.Attribute):
            continue
        taken = part.value
        if taken.attr in held and _name(taken.value) in ("self", "cls", node.name):
            why = f"all instances share one {taken.attr}"
            yield Suspect(part.lineno, why, "state", sure=False, shared=True)


def _of_function(function: ast.FunctionDef, shared: set[str]) -> Iterator[Suspect]:
    for decorator in function.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if _name(call) in _CACHES:
            yield Suspect(decorator.lineno, "remembers answers of earlier calls", "state")
    own = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and _stored(n)}
    for node in ast.walk(function):
        yield from _keeps(node, shared, function)
        if isinstance(node, ast.FunctionDef) and node is not function:
            inner = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _stored(n)}
            for part in ast.walk(node):  # what the outer function holds outlives the call
                for one in _keeps(part, (_held_by(function.body) & own) - inner, node):
                    yield one._replace(sure=False)


def _stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _keeps(node: ast.AST, shared: set[str], function: ast.FunctionDef) -> Iterator[Suspect]:
    why = "remembers something for later calls"
    if isinstance(node, ast.Assign | ast.AugAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            root = target
            while isinstance(root, ast.Subscript | ast.Attribute):
                root = root.value
            own = isinstance(root, ast.Name) and root.id == "self" and function.name != "__init__"
            outer = isinstance(root, ast.Name) and root.id in shared
            if target is not root and (own or outer):
                yield Suspect(node.lineno, why, "state")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        root = node.func.value
        while isinstance(root, ast.Subscript | ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name) or node.func.attr not in _GROWING:
            return
        if root.id in shared or (root.id == "self" and function.name != "__init__"):
            yield Suspect(node.lineno, why, "state")


__all__ = ["KINDS", "Kind", "Suspect", "suspects"]
