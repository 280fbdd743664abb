"""``contract-kit.md``: every check of the contract kit."""

from __future__ import annotations

from _pages import markdown as md
from ffm_core.testing.check_set_checks import CHECK_SET_CHECKS
from ffm_core.testing.checks import CHECKS, Check
from ffm_core.testing.embedder_checks import EMBEDDER_CHECKS
from ffm_core.testing.exit_checks import EXIT_CHECKS
from ffm_core.testing.feature_checks import FEATURE_CHECKS
from ffm_core.testing.target_checks import TARGET_CHECKS

_INTRO = """# Contract kit

`ffm_core.testing` checks any strategy, feature set or exit policy against its contract, ours or
yours, with the same call.

```python
from ffm_core.testing import check_feature_set, check_strategy, load_features, load_installed

report = check_strategy(load_installed("supertrend"), on_fail="report")
print(report, report.count("passed"), report.seconds)
print(check_feature_set(load_features("trivial8"), on_fail="report"))
```

`check_strategy(labeler, bars=..., expected_failures=..., on_fail=...)` and
`check_feature_set(feature_set, ...)` run every check and return a report, or raise
`CheckFailed`. `check_embedder(embedder, ...)`, `check_exit_policy(policy, ...)`,
`check_target(target, ...)` and `check_check_set(check_set, ...)` do the same for embedders,
exit policies, targets and check sets.
`parametrize_with_checks([LABELER])` makes one test of each, for
`def test(strategy, check)`; given feature sets, for `def test(feature_set, check)`.

## Excuses

`expected_failures` says why a check may fail:

```python
from ffm_core.testing import Excuse

excuses = {
    "one_bar": "needs two bars",
    "prices_may_be_scaled": Excuse("made for one market", until="2026-12-31"),
}
```

An excuse expires: it fails when its check passes, and after its last day when it has one.
One that names no check, or gives no reason, is an error.

## Fixtures

The package brings three pytest fixtures: `bars`, two thousand made-up bars; `host`, which
opens plug-ins as an evaluation does, `host("supertrend")`; and `run_ffm("eval", "x")`, which
runs a command with a ledger of its own and returns exit code, stdout, stderr and JSON.

What the kit cannot see: the best of many tries, data that were revised after the fact, a
rule that was fitted by hand to the test period. What the falsifier behind it can see is
listed in [the leak zoo](leak-zoo.md).

## The checks of strategies

"""
_FEATURES = "\n## The checks of feature sets\n\n"
_EMBEDDERS = "\n## The checks of embedders\n\n"
_TARGETS = "\n## The checks of targets\n\n"
_CHECK_SETS = "\n## The checks of check sets\n\n"
_EXITS = "\n## The checks of exit policies\n\n"


def page() -> str:
    """Return the page."""
    parts = [_INTRO, _table(CHECKS)]
    parts += [_FEATURES, _table(FEATURE_CHECKS), _EMBEDDERS, _table(EMBEDDER_CHECKS)]
    parts += [_EXITS, _table(EXIT_CHECKS)]
    parts += [_TARGETS, _table(TARGET_CHECKS)]
    return md.join([*parts, _CHECK_SETS, _table(CHECK_SET_CHECKS)])


def _table(checks: tuple[Check, ...]) -> str:
    rows = [(md.code(check.name), md.plain(check.summary)) for check in checks]
    return md.table(("check", "the rule"), rows)
