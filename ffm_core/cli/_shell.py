"""The lazy command group and the one place where errors become exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any, TextIO

import click

from ffm_core.cli.output import Shell, emit_error, page
from ffm_core.errors import FFMError, FFMWarning, OutputError, PluginError, UsageError
from ffm_core.host import boundary
from ffm_core.host.absent import require_installed
from ffm_core.host.boundary import is_strict
from ffm_core.host.discovery import Found, listed, names_listed
from ffm_core.processes import leave_working_folder
from ffm_core.shown import REVEAL, one_line

BUG = 70
NO_MEMORY = 7  # what is missing can be brought
INTERRUPTED = 130
USAGE = 2
# A disk or reader that gives way is the user's to mend, whoever was writing; so is a
# path nobody could use.
_OUTPUT_ERRNOS = {
    errno.EPIPE: "whatever read the output, 'head' for example, stopped early; the work may be "
    "unfinished, so write to a file first",
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some of your quota, or write elsewhere",
    errno.EROFS: "write to a writable file system",
    errno.EFBIG: "raise the limit on file size, or write elsewhere",
}
_PATH_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP})


class LazyGroup(click.Group):
    """A group whose commands are imported when run, and which owns the exit code.

    Parameters
    ----------
    table : mapping of str to (str, str)
        Command name to ``module:attribute`` and one-line summary.
    path : str
        Dotted name of the group, empty for ``ffm`` itself. Installed packages add the
        commands that their metadata list below it.
    """

    def __init__(
        self, *, table: Mapping[str, tuple[str, str]], path: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.path = path
        self._found: dict[str, Found] | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands in the order of the table, then those of packages."""
        return [*self.table, *self._brought()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; an unknown name is an error with a suggestion."""
        if cmd_name in self.table:
            module, _, attribute = self.table[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        full = ".".join(filter(None, (self.path, cmd_name)))
        if cmd_name in self._brought():
            from ffm_core.cli.brought import command_of

            return command_of(full)
        require_installed(full, "ffm_commands", what="command")
        near = get_close_matches(cmd_name, self.list_commands(ctx), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {cmd_name!r}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print names and summaries from the table and from metadata; nothing is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.table.items()])
        packages: dict[str, list[str]] = {}
        for name, found in self._brought().items():
            packages.setdefault(found.who, []).append(name)
        for who, names in packages.items():
            with formatter.section(one_line(f"Commands of {who}")):
                formatter.write_text(one_line(", ".join(names)))

    def _brought(self) -> dict[str, Found]:
        """Return the commands that installed packages list below this group."""
        if self._found is None:
            above = f"{self.path}." if self.path else ""
            here = {
                name.removeprefix(above): name
                for name in sorted(names_listed("ffm_commands"))
                if name.startswith(above) and "." not in name.removeprefix(above)
            }
            everybody = listed("ffm_commands") if here else {}
            self._found = {
                short: everybody[name][0]
                for short, name in here.items()
                if name in everybody and short not in self.table
            }
        return self._found

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and leave with its documented exit code.

        A command's own code is what it passes to ``ctx.exit`` or returns as an
        integer.
        """
        words = list(sys.argv[1:] if args is None else args)
        if standalone_mode:
            leave_working_folder()
        _open_streams()
        shell = _shell_of(words)

        def run() -> Any:
            return super(LazyGroup, self).main(
                words, prog_name, complete_var, standalone_mode=False, obj=shell, **extra
            )

        if not standalone_mode:
            return run()
        with _streams(shell), _revealing(words):
            code = _guarded(run, shell)
        sys.exit(code if _settle(shell) or code else USAGE)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse; ``--help`` and ``--version`` already print here."""
        with _writing():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        with _writing():
            return super().invoke(ctx)


def _open_streams() -> None:
    """Make sure that there is something to write to, and that any text can be written.

    A caller may have closed stdout; and an ASCII terminal is no reason to end with a
    bug's code after an hour of work: what it cannot show is spelt out.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _writing() -> Iterator[None]:
    """Turn a full disk, a closed pipe or a path nobody can use into an error of its own.

    click would answer a closed pipe with exit code 1, which means FAIL here.
    """
    try:
        yield
    except OSError as error:
        where = f" {str(error.filename)[:200]}" if error.filename else ""
        if where and error.errno in _PATH_ERRNOS:
            raise UsageError(
                f"cannot use{where}: {error.strerror}", fix="check the path and its permissions"
            ) from error
        if error.errno not in _OUTPUT_ERRNOS:
            raise
        raise OutputError(
            f"cannot write{where}: {error.strerror}", fix=_OUTPUT_ERRNOS[error.errno]
        ) from error


def _shell_of(words: Sequence[str]) -> Shell:
    """Read the flags that matter even when the command line cannot be parsed."""
    flags = set(words[: words.index("--")] if "--" in words else words)
    asked = (os.environ.get(name, "") for name in ("FFM_DEBUG", "FFM_STRICT"))
    debug = "--debug" in flags or any(value not in ("", "0") for value in asked)
    is_help = bool(flags & {"--help", "-h", "--version"})
    return Shell(
        stdout=sys.stdout,
        json="--json" in flags and not is_help,
        quiet="--quiet" in flags,
        debug=debug,
    )


@contextmanager
def _revealing(words: Sequence[str]) -> Iterator[None]:
    """Let ``--reveal`` hold while a command runs, in its workers too."""
    before = os.environ.get(REVEAL)
    if "--reveal" in words:
        os.environ[REVEAL] = "1"
    try:
        yield
    finally:
        os.environ.pop(REVEAL, None)
        if before is not None:
            os.environ[REVEAL] = before


@contextmanager
def _streams(shell: Shell) -> Iterator[None]:
    """Keep stdout clean and warnings readable while a command runs.

    With ``--json`` whatever a plug-in prints goes to stderr, so that stdout
    stays one document.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _warner(shell)
        if shell.json:
            with redirect_stdout(sys.stderr):
                yield
        else:
            yield


def _warner(shell: Shell) -> Any:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, FFMWarning):
            click.echo(one_line(f"warning: {message}"), err=True)
        elif shell.debug:
            text = warnings.formatwarning(message, category, filename, lineno)
            click.echo(page(text.splitlines()), err=True)

    return show


def _guarded(run: Any, shell: Shell) -> int:
    """Run, print what went wrong, and return the exit code."""
    try:
        answer = run()
        with _writing():
            shell.stdout.flush()
        return answer if type(answer) is int else 0
    except FFMError as error:
        return _report(shell, error, error.problem, error.fix, error.exit_code)
    except click.Abort as error:
        return _report(shell, error, "interrupted", "", INTERRUPTED)
    except KeyboardInterrupt as error:
        return _report(shell, error, "interrupted", "", INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        emit_error(shell, "UsageError", "missing command", _usage_fix(error), USAGE)
        return USAGE
    except click.ClickException as error:
        return _report(shell, error, error.format_message(), _usage_fix(error), USAGE)
    except MemoryError as error:
        fix = "give fewer --jobs or fewer bars, or close other programs"
        return _report(shell, error, "there is not enough memory for this", fix, NO_MEMORY)
    except Exception as error:
        return _bug(shell, error)


def _usage_fix(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see '{context.command_path if context is not None else 'ffm'} --help'"


def _settle(shell: Shell) -> bool:
    """Flush stdout for good; return False when it cannot be written.

    Otherwise the interpreter would try again at exit and change the exit code.
    """
    try:
        shell.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), shell.stdout.fileno())
        return False
    return True


def _bug(shell: Shell, error: Exception) -> int:
    text = " ".join(str(error).split())
    calls = (frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__))
    if is_strict() and not {boundary.__name__, "ffm_core.host.loading"}.isdisjoint(calls):
        problem = f"a plug-in raised {type(error).__name__}: {text}"
        fix = "correct the plug-in; FFM_STRICT=1 shows its own exception"
        return _report(shell, error, problem, fix, PluginError.exit_code)
    problem = f"unexpected error, most likely a bug in FFM: {type(error).__name__}: {text}"
    fix = "run it again with --debug and report the output, together with 'ffm --version'"
    return _report(shell, error, problem, fix, BUG)


def _report(shell: Shell, error: BaseException, problem: str, fix: str, code: int) -> int:
    with suppress(OSError):  # stderr may be gone as well; the exit code still tells
        if shell.debug and not getattr(error, "hidden", False):
            trace = "".join(traceback.format_exception(error))
            click.echo(page(trace.splitlines()), err=True)
        click.echo(page([f"error: {problem}", *([f"  fix: {fix}"] if fix else [])]), err=True)
    with suppress(OSError):
        emit_error(shell, type(error).__name__, problem, fix, code)
    return code
