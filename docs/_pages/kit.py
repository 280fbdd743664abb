"""``contract-kit.md``: every check of the contract kit."""

from __future__ import annotations

from _pages import markdown as md
from ffm_core.testing.checks import CHECKS

_INTRO = """# Contract kit

`ffm_core.testing` checks any strategy against the contract, ours or yours, with the same
call.

```python
from ffm_core.testing import check_strategy, load_installed

report = check_strategy(load_installed("supertrend"), on_fail="report")
print(report)
```

`check_strategy(labeler, bars=..., expected_failures=..., on_fail=...)` runs every check and
returns a report, or raises `CheckFailed`. `parametrize_with_checks([LABELER])` makes one
test of each. An excuse in `expected_failures` says why a check may fail; one that names no
check, or whose check passes, is an error.

The package also brings two pytest fixtures: `bars`, two thousand made-up bars, and
`run_ffm("eval", "x")`, which runs a command with a ledger of its own and returns exit
code, stdout, stderr and JSON.

What the kit cannot see: the best of many tries, data that were revised after the fact, a
rule that was fitted by hand to the test period.

## The checks

"""


def page() -> str:
    """Return the page."""
    rows = [(md.code(check.name), md.plain(check.summary)) for check in CHECKS]
    return md.join([_INTRO, md.table(("check", "the rule"), rows)])
