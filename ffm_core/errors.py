"""Every expected error, each with the exit code that documents it.

An :class:`FFMError` is printed as one clear line plus a fix, never as a
traceback. Anything else that escapes is a bug of ours and exits with 70.
"""

from __future__ import annotations

from typing import ClassVar

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 5, "REFUSED": 6}  # of a verdict
QUALIFIED_PASS = 5


class FFMError(Exception):
    """Base of every expected error; printed without a traceback.

    Parameters
    ----------
    problem : str
        What was expected, what was found, and where (file, row, stamp, column).
    fix : str
        What the reader can do about it.
    """

    hidden: bool = False  # whether its traceback would show what is private
    exit_code: ClassVar[int]  # every child states its own; 1 means FAIL and nothing else
    summary: ClassVar[str]  # one line for the generated reference page

    def __init__(self, problem: str, *, fix: str = "") -> None:
        super().__init__(f"{problem}\n  fix: {fix}" if fix else problem)
        self.problem = problem
        self.fix = fix


class UsageError(FFMError):
    """The command line or a setting is wrong."""

    exit_code = 2
    summary = "a flag, setting or name cannot be used as given"


class ConfigError(UsageError):
    """A configuration value is unknown or out of range."""

    exit_code = 2
    summary = "a configuration key or value is unknown or out of range"


class UnknownNameError(UsageError):
    """No strategy, extension, feature set, learner or run has this name."""

    exit_code = 2
    summary = "nothing with that name is installed or stored"


class OutputError(UsageError):
    """The output folder or FFM_HOME cannot be written (permissions, full disk)."""

    exit_code = 2
    summary = "an output path cannot be written; nothing half-written is left"


class PluginError(FFMError):
    """A plug-in cannot be used; carries its distribution and version.

    ``named`` is whom the problem names first: a distribution, or a record (``labeler 'x'``).
    """

    exit_code = 3
    summary = "a plug-in is at fault"

    def __init__(self, problem: str, *, fix: str = "", named: str = "") -> None:
        super().__init__(problem, fix=fix)
        self.named = named


class PluginLoadError(PluginError):
    """A plug-in fails to import, declares an unknown hook, or needs another API."""

    exit_code = 3
    summary = "a plug-in fails to load"


class PluginConflictError(PluginError):
    """Two distributions claim the same name."""

    exit_code = 3
    summary = "two distributions claim one name"


class StrategyError(PluginError):
    """A plug-in raised, or returned something its contract forbids."""

    exit_code = 3
    summary = "a plug-in raised or broke its contract while running"


class DataError(FFMError):
    """Market data cannot be used as given."""

    exit_code = 4
    summary = "market data cannot be used"


class SchemaError(DataError):
    """Columns, stamps or prices violate the bar schema."""

    exit_code = 4
    summary = "columns, stamps or prices violate the bar schema"


class UnsupportedFormatError(DataError):
    """The file is of a kind FFM recognises but does not read."""

    exit_code = 4
    summary = "a recognised but unsupported file format"


class DataQualityError(DataError):
    """The plausibility audit refuses the data."""

    exit_code = 4
    summary = "the plausibility audit refuses the data"


class ContractError(DataError):
    """The instrument is unknown or its declaration is inconsistent."""

    exit_code = 4
    summary = "an instrument is unknown or inconsistent"


class SampleError(DataError):
    """The data hold too little to build a single fold."""

    exit_code = 4
    summary = "too few bars or decisions to judge anything"


class LedgerError(DataError):
    """The ledger's chain of hashes is broken or the file is not a ledger."""

    exit_code = 4
    summary = "the ledger is unreadable or has been edited"


class RecordError(DataError):
    """A stored run record is missing, unreadable or has been edited."""

    exit_code = 4
    summary = "a run record is missing, unreadable or edited"


class CausalityError(FFMError):
    """A plug-in reads the future."""

    exit_code = 6
    summary = "the falsifier found look-ahead"


class UnavailableError(FFMError):
    """A model, key, service or optional library is absent."""

    exit_code = 7
    summary = "a model, key, service or optional library is absent"


class ModelError(UnavailableError):
    """A model's files are missing, cut off or changed, or cannot do what is asked."""

    exit_code = 7
    summary = "a model file is missing, cut off or changed"


class FFMWarning(UserWarning):
    """Base of every warning FFM issues, so that one kind can be made an error."""
