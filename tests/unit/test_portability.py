"""Everybody's system: no call that only some have, but in the one module made for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
THE_ONE_PLACE = "ffm_core/processes.py"
MODULES = {
    "_winapi", "asyncore", "crypt", "ctypes", "curses", "fcntl", "grp", "msvcrt", "nis", "posix",
    "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty", "winreg",
}  # fmt: skip
CALLS = {
    "os": {
        "chown", "chroot", "eventfd", "fchmod", "fork", "forkpty", "getegid", "geteuid", "getgid",
        "getloadavg", "getpgid", "getppid", "getpriority", "getsid", "getuid", "kill", "killpg",
        "lchown", "memfd_create", "mkfifo", "mknod", "nice", "pidfd_open", "pipe2", "posix_spawn",
        "sched_getaffinity", "sched_setaffinity", "sendfile", "setpgid", "setpriority", "setsid",
        "splice", "startfile", "statvfs", "symlink", "sync", "sysconf", "uname", "wait", "wait3",
        "wait4", "waitid", "waitpid",
    },
    "signal": {
        "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2",
        "alarm", "getitimer", "pause", "pthread_kill", "pthread_sigmask", "setitimer",
        "siginterrupt", "sigpending", "sigwait",
    },
    "time": {"clock_gettime", "tzset"},
    "select": {"epoll", "kqueue", "poll"},
}  # fmt: skip
ARGUMENTS = {"pass_fds", "preexec_fn", "start_new_session", "process_group"}
PLACES = ("/proc", "/dev/", "/sys/", "/tmp", "/etc/", "/usr/", "/var/")
# Where a name of the system is only compared with, never opened.
COMPARED = {"ffm_core/causal/process/access.py", "ffm_core/causal/blame/suspects.py"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for top in ("ffm_core", "ffm_xgb", "plugins", "examples", "docs"):
        for path in sorted((REPOSITORY / top).rglob("*.py")):
            parts = path.relative_to(REPOSITORY).parts
            if "tests" not in parts and "template" not in parts:
                yield "/".join(parts), ast.parse(path.read_text(encoding="utf-8"))


def offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of what other systems lack."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = CALLS.get(node.module or "", set())
            whole = [node.module] if (node.module or "").split(".")[0] in MODULES else []
            found = whole + [alias.name for alias in node.names if alias.name in names]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called = node.attr in CALLS.get(node.value.id, set())
            found = [f"{node.value.id}.{node.attr}"] if called else []
        elif isinstance(node, ast.Call):
            found = [word.arg for word in node.keywords if word.arg in ARGUMENTS]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = [node.value] if node.value.startswith(PLACES) else []
        else:
            continue
        yield from ((node.lineno, name) for name in found if name)


def unencoded(tree: ast.AST) -> Iterator[int]:
    """Yield lines that leave it to the system how a text is encoded or its lines end."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        words = {word.arg for word in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        needed = {"write_text": {"encoding", "newline"}, "open": {"encoding"}}.get(name, set())
        if name == "read_text" and not node.args:
            needed = {"encoding"}
        if name == "write_text" and "formatter" in ast.unparse(node.func):
            continue  # click's, which lays out the help
        if needed - words and (name != "open" or _opens_text(node)):
            yield node.lineno


def _opens_text(node: ast.Call) -> bool:
    at = 1 if isinstance(node.func, ast.Name) else 0
    given = [word.value for word in node.keywords if word.arg == "mode"] + node.args[at : at + 1]
    modes = [mode.value for mode in given if isinstance(mode, ast.Constant)]
    letters = {mode for mode in modes if isinstance(mode, str) and set(mode) <= set("rwaxbt+")}
    return bool(letters) and not any("b" in mode for mode in letters)


def test_what_only_some_systems_have_is_asked_for_in_one_place():
    found = [
        f"{path}:{line}: {name}"
        for path, tree in sources()
        if path not in {THE_ONE_PLACE, *COMPARED}
        for line, name in offences(tree)
    ]
    assert found == []


def test_texts_are_read_and_written_in_an_encoding_that_is_named():
    found = [f"{path}:{line}" for path, tree in sources() for line in unencoded(tree)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ["import fcntl", "from os import fork", "os.getppid()", "Popen(x, pass_fds=(3,))",
     "signal.setitimer(0, 1)", "open('/proc/self/stat')", "import ctypes.util"],
)  # fmt: skip
def test_the_search_sees(code):
    assert list(offences(ast.parse(code)))


@pytest.mark.parametrize(
    ("code", "n"),
    [("path.read_text()", 1), ("path.open('w')", 1), ("open(path, 'r')", 1), ("open(p, 'rb')", 0),
     ("path.write_text(x, encoding='utf-8')", 1),
     ("path.read_text('utf-8')", 0), ("source.open()", 0), ("os.open(p, flags)", 0),
     ("path.open('xb')", 0), ("path.open(mode='w')", 1)],
)  # fmt: skip
def test_the_search_sees_texts_without_an_encoding(code, n):
    assert len(list(unencoded(ast.parse(code)))) == n
