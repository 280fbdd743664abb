"""What differs between two runs: settings, data, code, verdict and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from ffm_core.runs.record import Run

Pair: TypeAlias = tuple[Any, Any]

_CODE = ("name", "distribution", "version", "code_hash", "hook_api", "labeler", "params")
_DATA = ("sha256", "rows", "first", "last", "currency")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Differences of two runs; the mappings hold what differs, and nothing else.

    Parameters
    ----------
    runs : tuple of str
        Their ids.
    same_result : bool
        Both results have the same bytes.
    decision : tuple of str
        Both verdicts.
    config, data, code, prereg, versions : mapping of str to pair
        Name to (first, second); None where a run lacks it.
    checks : mapping of str to mapping of str to pair
        Every check of either run by name: its outcome, value and threshold.
    arms : mapping of str to pair
        Mean R per arm, side by side.
    """

    runs: tuple[str, str]
    same_result: bool
    decision: tuple[str, str]
    config: Mapping[str, Pair]
    data: Mapping[str, Pair]
    code: Mapping[str, Pair]
    prereg: Mapping[str, Pair]
    versions: Mapping[str, Pair]
    checks: Mapping[str, Mapping[str, Pair]]
    arms: Mapping[str, Pair]


def compare_runs(first: Run, second: Run) -> RunComparison:
    """Return what differs between two runs."""
    one, two = first.result, second.result
    return RunComparison(
        runs=(first.run_id, second.run_id),
        same_result=first.result_hash == second.result_hash,
        decision=(first.decision, second.decision),
        config=_differences(_flat(one.get("config")), _flat(two.get("config"))),
        data=_differences(_data(one), _data(two)),
        code=_differences(_code(first), _code(second)),
        prereg=_differences(_prereg(one), _prereg(two)),
        versions=_differences(_flat(first.envelope.get("versions")),
                              _flat(second.envelope.get("versions"))),
        checks=_checks(one, two),
        arms=_pairs(_arms(one), _arms(two)),
    )  # fmt: skip


def _pairs(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Pair]:
    return {name: (one.get(name), two.get(name)) for name in dict.fromkeys((*one, *two))}


def _differences(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Pair]:
    return {name: pair for name, pair in _pairs(one, two).items() if pair[0] != pair[1]}


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _data(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for item in result.get("data", []):
        stream = f"{item.get('instrument')}/{item.get('timeframe')}"
        found.update({f"{stream} {name}": item.get(name) for name in _DATA})
    return found


def _code(run: Run) -> dict[str, Any]:
    strategy = run.result.get("strategy", {})
    found = _flat({name: strategy.get(name) for name in _CODE})
    # Hidden settings all read alike; a hash under this machine's key tells them apart.
    return found | {"hidden settings": run.envelope.get("private_settings")}


def _prereg(result: Mapping[str, Any]) -> dict[str, Any]:
    prereg = result.get("prereg", {})
    constants = {
        str(check.get("name")): check.get("constants", {}) for check in prereg.get("checks", [])
    }
    return _flat({"hash": prereg.get("hash"), "claim": prereg.get("claim"),
                  "settings": prereg.get("settings", {}), "checks": constants})  # fmt: skip


def _arms(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arm.get("mean_r") for name, arm in result.get("arms", {}).items()}


def _checks(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, dict[str, Pair]]:
    left, right = ({str(c.get("name")): c for c in r.get("checks", [])} for r in (one, two))
    return {
        name: {part: (a.get(part), b.get(part)) for part in ("outcome", "value", "threshold")}
        for name in dict.fromkeys((*left, *right))
        for a, b in [(left.get(name, {}), right.get(name, {}))]
    }
