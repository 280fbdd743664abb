"""Keep what a private package offers out of everything that leaves the machine.

What is hidden: names of labelers' variants, exits, feature sets, checks, learners and the
rest, column names, parameter names and values, limits and words of checks, summaries and
descriptions, source paths, and what its code says when it raises. What is not: the
strategy's own name and distribution, and the times of its trades, which always say
something about a trigger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ffm_core.errors import FFMError, PluginError
from ffm_core.host.boundary import OWN_NAMES, SILENCE
from ffm_core.host.code import source_files
from ffm_core.host.discovery import Found, normalize
from ffm_core.records import Labeler
from ffm_core.shown import is_revealed

if TYPE_CHECKING:
    from ffm_core.host.registry import Offered
    from ffm_core.records import Embedder

HIDDEN = "private"
SHORTEST_BARE_NAME = 3  # shorter names hide only where they stand as a column or a setting

# Words of every run record. A private column called like one of them gives
# nothing away by itself, and rewriting it would break the record's own keys;
# after 'labeler/' and before '=' it is rewritten all the same.
PUBLIC_WORDS = frozenset(
    """
    arm arms audit bar bars block bps cache calibration certificate check checks claim
    clean close code code_hash column columns command config cost costs count counts cuts data
    date day days decision decisions deflated digest distribution draws effect embargo_days end
    entry envelope equity exit exit_time fail failures findings first fixed_rr fold folds full
    generalisation hash high horizon horizon_bars hour hours id index instrument interval items
    jobs label labeler last learner level long low mae_r mean_r median_r message mfe_r money
    month months n n_days n_months n_test n_train n_trades naive name none null nulls odds open
    outcome outcomes overlap p_value param params pass peak_r platform plots power prereg price
    price_points probability profit profit_factor purged r_gross r_net random reason reasons
    records refused repair repeat result risk risk_points row rows rr run run_id sample schema score
    seal seconds seed settings sha256 sharpe short shuffle side signal size span started status
    stop strategy stream streams stop_gap subject subjects summary target target_gap target_r
    test test_months threshold tick ticks time timeframe timeout total_r trades train trial
    trials trigger validation value values verdict version versions void volume weight win_rate
    xgb private selection inconclusive data_end session_end session trail skipped roll hole
    """.split()  # noqa: SIM905
)

# Keys of a reason, and of what was tested, in a record: :class:`.Reason`, :class:`.Examined`.
_REASON = frozenset({"kind", "numbers", "names"})
_EXAMINED = frozenset({"kind", "name", "stream"})

# How text ties a value to the name of a setting.
_IS = r"(\s*=\s*|['\"] is )"
_VALUE = r"(?:\"[^\"]*\"|'[^']*'|[^\s,;\"')\]}]+)"


def redact_labeler(labeler: Labeler) -> dict[str, Any]:
    """Return what may be shown of a labeler, ready for JSON.

    Parameters
    ----------
    labeler : Labeler
        Shown in full, unless it is marked private.

    Returns
    -------
    dict
        Keys name, summary, private, horizon_bars, warmup_bars, history_bars,
        memory, exit_name, params, columns. For a private labeler the number of
        parameters and columns stays, their names, values and texts do not.
    """
    view: dict[str, Any] = {
        "name": labeler.name,
        "summary": labeler.summary,
        "private": labeler.private,
        "horizon_bars": labeler.horizon_bars,
        "warmup_bars": labeler.warmup_bars,
        "history_bars": labeler.history_bars,
        "memory": labeler.memory,
        "exit_name": labeler.exit_name,
    }
    if not labeler.private:
        return view | {"params": _params(labeler), "columns": _columns(labeler)}
    redactor = Redactor.of([labeler])
    view["name"] = redactor.text(labeler.name)
    view["summary"] = HIDDEN
    view["params"] = [{"name": redactor.name(p.name), "default": HIDDEN} for p in labeler.params]
    view["columns"] = [{"name": redactor.name(c.name), "unit": HIDDEN} for c in labeler.columns]
    return view


class Redactor:
    """Rewrites private names wherever they stand: in text, keys and values.

    The same name always becomes the same replacement, so that tables still line
    up. With nothing to hide it returns everything as it is.

    Parameters
    ----------
    names : iterable of str
        Column, parameter and variant names, in a fixed order; the first becomes
        ``private_1``.
    params : iterable of str
        Those of the names whose values are hidden too, in mappings and as
        ``name=value`` or ``'name' is value`` in text.
    sources : iterable of str
        Module names, file names and folders; any path that contains one is
        hidden as a whole. With a slash at the end, a name hides only where a
        path goes on behind it.
    keep : iterable of str
        Further words that are public, for example instrument symbols.
    checks : iterable of str
        Those of the names that are checks: their figures and words are hidden too.
    owners : iterable of str
        Distributions and versions whose code may say anything when it raises.
    prefix : str
        Start of every replacement.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        params: Iterable[str] = (),
        sources: Iterable[str] = (),
        keep: Iterable[str] = (),
        checks: Iterable[str] = (),
        owners: Iterable[str] = (),
        prefix: str = HIDDEN,
    ) -> None:
        self._checks, self._owners = frozenset(checks), frozenset(owners)
        self._params = frozenset(params)
        ordered = dict.fromkeys([*names, *sorted(self._params)])
        self._names = {name: f"{prefix}_{i}" for i, name in enumerate(ordered, start=1)}
        public = PUBLIC_WORDS | frozenset(keep)
        self._bare = {
            name: other
            for name, other in self._names.items()
            if name not in public and len(name) >= SHORTEST_BARE_NAME
        }
        self._hidden = prefix
        self._sources = _source_pattern(sources)
        self._settings = _words(self._params, after=_IS + _VALUE)
        self._columns = _words(self._names, before="labeler/")
        self._words = _words(self._bare)

    @classmethod
    def of(
        cls,
        labelers: Iterable[Labeler],
        *,
        origin: Found | None = None,
        keep: Iterable[str] = (),
        embedders: Iterable[Offered[Embedder]] = (),
        others: Iterable[Offered[Any]] = (),
    ) -> Redactor:
        """Collect everything private of some labelers and embedders.

        Parameters
        ----------
        labelers : iterable of Labeler
            Those not marked private add nothing.
        origin : Found, optional
            Where they come from; its modules and files are hidden as well.
        keep : iterable of str
            Further public words.
        embedders : iterable of Offered
            Those not marked private add nothing; of the others columns, variant,
            source, texts, modules and files are hidden, and the name is not.
        others : iterable of Offered
            Exits, feature sets, checks, learners and the rest of private packages: their
            names are hidden as well.
        """
        hidden = [labeler for labeler in labelers if labeler.private]
        names: list[str] = []
        params: list[str] = []
        for labeler in hidden:
            params.extend(param.name for param in labeler.params)
            names.extend(column.name for column in labeler.columns)
            names.extend(param.name for param in labeler.params)
            names.extend(_string_values(labeler))
            names.extend(labeler.name.split(":")[1:])
            names.extend(_sentences(labeler))
        sources = _sources_of(origin) if hidden and origin is not None else []
        for record, place in ((o.record, o.origin) for o in embedders if o.record.private):
            names.extend(column.name for column in record.columns)
            names.extend(record.name.split(":")[1:])
            texts = (record.summary, *(column.description for column in record.columns))
            names.extend(text for text in texts if len(text.split()) > 1)
            sources = [*sources, *_sources_of(place), record.source]
        checks: list[str] = []
        owners = [origin.who] if hidden and origin is not None else []
        for record, place in ((o.record, o.origin) for o in others):
            params.extend(param.name for param in getattr(record, "params", ()))
            names.extend(_names_of(record, place))
            sources = [*sources, *_sources_of(place)]
            owners.append(place.who)
            inside = getattr(record, "checks", ())  # of a check set
            checks.extend(check.name for check in (record, *inside) if hasattr(check, "judge"))
        names.extend(checks)
        return cls(names, params=params, sources=sources, keep=keep, checks=checks, owners=owners)

    @property
    def is_active(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._names) or self._sources is not None

    def name(self, name: str) -> str:
        """Return the replacement of a private name, or the name itself."""
        return self._names.get(name, name)

    def text(self, text: str) -> str:
        """Return ``text`` without private names, values of settings and paths."""
        if not self.is_active:
            return text
        if self._sources is not None:
            text = self._sources.sub(self._hidden, text)
        if self._settings is not None:
            text = self._settings.sub(lambda m: self._names[m[1]] + m[2] + self._hidden, text)
        if self._columns is not None:
            text = self._columns.sub(lambda m: f"labeler/{self._names[m[1]]}", text)
        if self._words is not None:
            text = self._words.sub(lambda m: self._names[m[1]], text)
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON-able structure with every string and key rewritten.

        A mapping entry whose key is a private parameter loses its value as
        well; under a key ``params`` even parameters with public names do.
        """
        return self._value(value, inside_params=False) if self.is_active else value

    def revealed(self, value: Any) -> Any:
        """Return a redacted structure with the names put back, for the author's own terminal."""
        own = {other: name for name, other in self._names.items()}
        pattern = _words(own)
        if pattern is None:
            return value
        if isinstance(value, str):
            return pattern.sub(lambda m: own[m[1]], value)
        if isinstance(value, Mapping):
            return {self.revealed(key): self.revealed(item) for key, item in value.items()}
        return [self.revealed(item) for item in value] if isinstance(value, list) else value

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """Take the names out of errors raised inside; they end up in logs and reports.

        A fix that names what is private, such as a suggestion, would send the author after
        a replacement that does not exist; it says instead how to see the names.
        """
        try:
            yield
        except Exception as error:
            if is_revealed():
                raise
            error.args = tuple(self.value(list(error.args)))
            if isinstance(error, FFMError):
                who = error.named if isinstance(error, PluginError) else ""
                raised = who in self._owners and not isinstance(error.__cause__, FFMError | None)
                problem, fix = self.text(error.problem), self.text(error.fix)
                if raised:
                    problem = f"{who}: {SILENCE}"
                hidden = raised or fix != error.fix
                error.problem, error.fix = problem, OWN_NAMES if hidden else fix
            error.__dict__["hidden"] = True  # no traceback is shown of it
            raise

    def leaks(self, text: str) -> list[str]:
        """Return the private names that still stand in ``text``, for a last check."""
        patterns = (self._words, self._columns)
        found = [match[1] for pattern in patterns if pattern for match in pattern.finditer(text)]
        if self._sources is not None:
            found.extend(match[0] for match in self._sources.finditer(text))
        return sorted(set(found))

    def _value(self, value: Any, *, inside_params: bool) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            if value.get("name") in self._checks and ("outcome" in value or "constants" in value):
                return self._check(value)
            if value.keys() in (_REASON, _EXAMINED):  # our own words, and names of others
                return {
                    key: item if key == "kind" else self._values(item)
                    for key, item in value.items()
                }
            return {
                self._key(key, inside_params): self._entry(key, item, inside_params)
                for key, item in value.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            items = [self._value(item, inside_params=inside_params) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        return value

    def _values(self, item: Any) -> Any:
        """Rewrite what belongs to a reason, and keep the keys its words are made from."""
        if isinstance(item, Mapping):
            return {key: self._value(part, inside_params=False) for key, part in item.items()}
        return self._value(item, inside_params=False)

    def _check(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return a private check as it may be shown: its outcome, and no figure or word."""
        kept = {key: value[key] for key in ("outcome", "gates", "claims") if key in value}
        rest: dict[str, Any] = {
            key: {} if key == "constants" else None for key in value if key not in kept
        }
        return rest | kept | {"name": self.name(str(value["name"]))}

    def _entry(self, key: Any, item: Any, inside_params: bool) -> Any:
        if key in self._params and (inside_params or key in self._bare):
            return self._hidden
        if key == "line" and isinstance(item, str) and self.text(item) != item:
            return ""  # a line of private source
        return self._value(item, inside_params=key in ("params", "set", "exit_params"))

    def _key(self, key: Any, inside_params: bool) -> Any:
        if not isinstance(key, str):
            return key
        return self.name(key) if inside_params else self.text(key)


def _names_of(record: Any, origin: Found) -> list[str]:
    """Return every name and text of a record but what its package is called by."""
    names = [column.name for column in getattr(record, "columns", ())]
    names.extend(param.name for param in getattr(record, "params", ()))
    if normalize(record.name) not in (normalize(origin.name), normalize(origin.distribution)):
        names.append(record.name)
    names.extend(_string_values(record))
    return [*names, *_sentences(record)]


def _words(names: Iterable[str], *, before: str = "", after: str = "") -> re.Pattern[str] | None:
    """Match whole names, longest first, so that none hides inside another."""
    ordered = sorted(set(names), key=lambda name: (-len(name), name))
    if not ordered:
        return None
    choice = "|".join(re.escape(name) for name in ordered)
    return re.compile(rf"(?<![A-Za-z0-9_]){before}({choice})(?![A-Za-z0-9_]){after}")


_PATH_CHAR = r"[^\s\"'`()<>]"  # what a path may consist of inside a sentence


def _source_pattern(sources: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted({s for s in sources if s}, key=lambda s: (-len(s), s))
    if not ordered:
        return None
    choice = "|".join(_one_source(source) for source in ordered)
    # The folder in front and the file and line behind belong to the path.
    return re.compile(rf"{_PATH_CHAR}*(?<![A-Za-z0-9_])(?:{choice}){_PATH_CHAR}*")


def _one_source(source: str) -> str:
    """Match a source whole; one ending in a slash only as the start of a path."""
    if source.endswith("/"):
        return re.escape(source[:-1]) + r"(?=[/\\]|\.\w)"
    return re.escape(source) + r"(?![A-Za-z0-9_])"


def _sources_of(origin: Found) -> list[str]:
    if origin.path is not None:
        return [str(origin.path), origin.path.name, origin.module]
    top = origin.module.partition(".")[0]
    # A module called like the strategy, or like a word of the record, is hidden
    # only where it is part of a path: the bare word is public.
    is_public = top in PUBLIC_WORDS or normalize(top) == normalize(origin.name)
    folders = {str(path.parent) for path in source_files(origin).values()}
    return [f"{top}/" if is_public else top, *sorted(folders)]


def _string_values(labeler: Any) -> list[str]:
    """Return the texts a parameter may take; numbers say nothing without their name."""
    found: list[str] = []
    for param in getattr(labeler, "params", ()):
        found.extend(param.choices)
        if isinstance(param.default, str) and param.default:
            found.append(param.default)
    return found


def _sentences(labeler: Any) -> list[str]:
    """Return the texts that describe the rule; a single word would hit other text."""
    texts = [labeler.summary]
    texts.extend(column.description for column in getattr(labeler, "columns", ()))
    texts.extend(param.description for param in getattr(labeler, "params", ()))
    return [text for text in texts if len(text.split()) > 1]


def _params(labeler: Labeler) -> list[dict[str, Any]]:
    return [
        {
            "name": param.name,
            "default": param.default,
            "minimum": param.minimum,
            "maximum": param.maximum,
            "choices": list(param.choices),
            "description": param.description,
        }
        for param in labeler.params
    ]


def _columns(labeler: Labeler) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "unit": column.unit,
            "signed": column.signed,
            "description": column.description,
        }
        for column in labeler.columns
    ]
