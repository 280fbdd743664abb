"""The one place that calls plug-in code, and what a failure there looks like."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, TypeVar

from ffm_core.errors import ConfigError, FFMError, PluginError, StrategyError, UnavailableError
from ffm_core.host.discovery import Found
from ffm_core.host.surroundings import environment_kept
from ffm_core.shown import is_revealed

P = ParamSpec("P")
R = TypeVar("R")
MAX_MESSAGE_CHARS = 300
SILENCE = "its code raised an error, whose words are private"
OWN_NAMES = "the names and words of this private package are shown with --reveal"


def call_plugin(
    origin: Found, what: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Call plug-in code; whatever it raises names the plug-in and the line.

    Parameters
    ----------
    origin : Found
        Whose code it is.
    what : str
        What is being done, for example ``labeler 'breakout'``.
    function : callable
        The plug-in's function, called with the remaining arguments.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    StrategyError
        For any exception, ``SystemExit`` included. A ``ConfigError`` or
        ``UnavailableError`` keeps its kind, since the user can act on it. With
        ``FFM_STRICT=1`` the original exception is raised instead.
    """
    try:
        with environment_kept():
            return function(*args, **kwargs)
    except (Exception, SystemExit) as error:
        if is_strict() or _is_explained(origin, error):
            raise
        raise _explain(origin, what, error) from error


def is_strict() -> bool:
    """Return whether ``FFM_STRICT=1`` asks for original exceptions."""
    return os.environ.get("FFM_STRICT", "") not in ("", "0")


def one_line(error: BaseException) -> str:
    """Return an exception as one line of bounded length, kind first."""
    if isinstance(error, FFMError):
        text = " ".join(error.problem.split())
    elif isinstance(error, SyntaxError) and error.msg:
        text = f"{type(error).__name__}: {error.msg}"  # its str() repeats file and line
    else:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    if len(text) > MAX_MESSAGE_CHARS:
        text = text[: MAX_MESSAGE_CHARS - 1] + "…"
    return text


def absent_library(error: BaseException) -> str | None:
    """Return why an optional library is missing, or None for any other failure.

    Only for ffm-core's own parts: a module of ours that fails to import another
    name of ours is a bug, not an absence.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnavailableError):
            return one_line(cause)
        if isinstance(cause, ModuleNotFoundError) and cause.name:
            return f"{cause.name} is not installed"
        cause = cause.__cause__
    return None


def place(origin: Found, trace: TracebackType | None, error: BaseException | None = None) -> str:
    """Return the plug-in's own ``file:line`` that raised, or an empty string.

    The innermost frame inside the plug-in counts, not the library it called.
    Paths are given from the package on, so that no folder of the machine shows.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename, origin)}:{error.lineno or 0}"
    best = ""
    top = origin.module.partition(".")[0]
    for frame, line in traceback.walk_tb(trace):
        name = str(frame.f_globals.get("__name__", ""))
        if name == top or name.startswith(top + "."):
            best = f"{_short(frame.f_code.co_filename, origin)}:{line}"
    return best


def _short(filename: str, origin: Found) -> str:
    path = Path(filename)
    top = origin.module.partition(".")[0]
    if origin.path is None and top in path.parts:
        start = len(path.parts) - 1 - path.parts[::-1].index(top)
        return "/".join(path.parts[start:])
    return path.name


def _is_explained(origin: Found, error: BaseException) -> bool:
    return isinstance(error, PluginError) and error.named == origin.who


def hidden(origin: Found, error: BaseException) -> bool:
    """Return whether the words of an error are private: a private package's own code raised it."""
    return origin.is_private and not isinstance(error, FFMError) and not is_revealed()


def _explain(origin: Found, what: str, error: BaseException) -> FFMError:
    if hidden(origin, error):
        silent = StrategyError(f"{origin.who}: {SILENCE}", fix=OWN_NAMES, named=origin.who)
        silent.hidden = True  # no traceback is shown of it
        return silent
    where = place(origin, error.__traceback__, error)
    told = isinstance(error, PluginError) and error.named == what
    said = one_line(error) if told else f"{what}: {one_line(error)}"
    text = f"{origin.who}: {said}" + (f" ({where})" if where else "")
    if isinstance(error, ConfigError | UnavailableError):
        return type(error)(text, fix=error.fix or "correct the plug-in")
    fix = "correct the plug-in; --debug shows where it came from"
    if isinstance(error, PluginError):
        fix = error.fix or "correct the plug-in"
    return StrategyError(text, fix=fix, named=origin.who)
