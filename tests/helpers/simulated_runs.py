"""Run records made of seeded noise, for the tests of the report; nothing here is market data."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from ffm_core.records import Examined, because, stated

STREAMS = ("SIMA7/5m", "SIMB7/5m")
SEAL_FROM = dt.date(2025, 3, 3)
FIRST = dt.date(2023, 1, 2)
LAST = dt.date(2025, 6, 30)
_R = {"REAL": 0.21, "NAIVE": 0.05, "RANDOM": 0.05, "SHUFFLE": 0.04, "SHUFFLE block": 0.05,
      "ENTRY": -0.06}  # fmt: skip


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _business_days(first: dt.date, last: dt.date) -> list[dt.date]:
    n = (last - first).days + 1
    return [d for i in range(n) if (d := first + dt.timedelta(days=i)).weekday() < 5]


def _month(index: int) -> tuple[str, str]:
    """Return the first and last day of month ``index`` after January 2023."""
    year, month = 2023 + index // 12, index % 12 + 1
    after = dt.date(year + month // 12, month % 12 + 1, 1)
    return dt.date(year, month, 1).isoformat(), (after - dt.timedelta(days=1)).isoformat()


def _folds(n_folds: int) -> dict[str, Any]:
    reason = "8 validation decisions, fewer than 10"
    items = [
        {
            "index": k, "train": [_month(k)[0], _month(k + 2)[1]],
            "validation": list(_month(k + 3)), "test": list(_month(k + 4)),
            "n_train": 880 + 7 * k, "n_validation": 290 + k, "n_test": 285 - k,
            "n_purged": 12 + k % 5, "skipped": reason if k == 5 else None,
        }
        for k in range(n_folds)
    ]  # fmt: skip
    return {"multiplier": 1, "train_months": 3, "validation_months": 1, "test_months": 1,
            "embargo_days": 1, "span": [FIRST.isoformat(), LAST.isoformat()],
            "seal": {"from": SEAL_FROM.isoformat(), "opened": None, "n_decisions": 1312},
            "items": items}  # fmt: skip


def _arm(name: str, n: int, shift: float) -> dict[str, Any]:
    mean = _R.get(name, 0.0) + shift
    return {"n_trades": n, "mean_r": mean, "mean_interval": [mean - 0.09, mean + 0.09],
            "median_r": -0.62 + mean, "profit_factor": 1.0 + 1.6 * mean,
            "win_rate": 0.34 + mean / 4,
            "total_r": mean * n, "max_drawdown_r": 31.4, "n_days": 402, "sharpe_daily": mean / 2.1,
            "positive_months": 15, "n_months": 21, "top1_removed_mean_r": mean - 0.005,
            "top5_removed_mean_r": mean - 0.022}  # fmt: skip


def _drawn(shift: float) -> dict[str, Any]:
    """Return the arms that stand for many draws; they have few figures."""
    arms = {}
    for name, n_draws in (("RANDOM", 200), ("SHUFFLE", 39), ("SHUFFLE block", 17)):
        mean = _R[name] + shift
        arms[name] = {"n_trades": 3016, "n_draws": n_draws, "mean_r": mean,
                      "mean_interval": [mean - 0.07, mean + 0.07],
                      "total_r": mean * 3016}  # fmt: skip
    return arms


def _plots(rng: np.random.Generator, trades: pl.DataFrame, shift: float) -> dict[str, Any]:
    days = _business_days(dt.date(2023, 5, 1), dt.date(2025, 2, 28))
    curves = {
        name: np.cumsum(rng.normal((mean + shift) * 2.6, 2.2, len(days))).round(4).tolist()
        for name, mean in _R.items() if not name.startswith("SHUFFLE")
    }  # fmt: skip
    width = 3.0 * np.sqrt(np.arange(1, len(days) + 1))
    real = np.array(curves["REAL"])
    months = sorted({d.strftime("%Y-%m") for d in days})
    total = rng.normal((_R["REAL"] + shift) * 30, 9.0, (len(STREAMS), len(months)))
    counts = rng.integers(55, 90, (len(STREAMS), len(months)))
    counts[1, 3] = 0
    predicted = np.linspace(0.22, 0.58, 9)
    value = _R["REAL"] + shift
    return {
        "equity": {"days": [d.isoformat() for d in days], "arms": curves,
                   "band": {"arm": "REAL", "low": (real - width).tolist(),
                            "high": (real + width).tolist()}},
        "nulls": {
            "random": {"real": value, "draws": rng.normal(0.05, 0.035, 200).tolist(),
                       "planned": 200, "stopped": False},
            "shuffle_full": {"real": value - 0.01, "draws": rng.normal(0.04, 0.05, 39).tolist(),
                             "planned": 39, "stopped": False},
            "shuffle_block": {"real": value - 0.01, "draws": rng.normal(0.05, 0.05, 17).tolist(),
                              "planned": 39, "stopped": True},
        },
        "months": {"months": months, "streams": list(STREAMS),
                   "total_r": np.where(counts > 0, total, 0.0).round(3).tolist(),
                   "n_trades": counts.tolist()},
        "side": [{"side": "long", "n": 1612, "mean_r": value + 0.04, "total_r": 403.0,
                  "win_rate": 0.41},
                 {"side": "short", "n": 1404, "mean_r": value - 0.05, "total_r": 224.6,
                  "win_rate": 0.37}],
        "hours": [{"hour": h, "n": int(n), "mean_r": float(m), "total_r": float(n * m)}
                  for h in range(24) if h not in (16, 17)
                  for n, m in [(rng.integers(40, 260), rng.normal(value, 0.2))]],
        "calibration": {"bins": [{"predicted": float(p), "observed": float(p + e), "n": int(n)}
                                 for p, e, n in zip(predicted, rng.normal(0, 0.02, 9),
                                                    rng.integers(60, 500, 9), strict=True)],
                        "ece": 0.021, "brier": 0.231, "slope": 0.93, "intercept": 0.012},
        "costs": [{"slippage_ticks": t,
                   "arms": {"REAL": {"mean_r": mean, "total_r": mean * 3016},
                            "NAIVE": {"mean_r": mean - 0.16, "total_r": (mean - 0.16) * 6030}}}
                  for t in range(3) for mean in [value + 0.05 * (1 - t)]],
    }  # fmt: skip


def _check(name: str, outcome: str, value: float | None, threshold: float | None,
           interval: list[float] | None = None, **more: Any) -> dict[str, Any]:  # fmt: skip
    row = {"name": name, "outcome": outcome, "value": value, "interval": interval,
           "threshold": threshold, "effect": None, "power": None, "minimum_detectable": None,
           "months_needed": None, "gates": True, "reason": None}  # fmt: skip
    return {**row, **more}


def _why(kind: str, **values: float | str) -> dict[str, Any]:
    return asdict(because(kind, **values))


def _stated(text: str) -> dict[str, Any]:
    return asdict(stated(text))


def _checks(shift: float) -> list[dict[str, Any]]:
    real = _R["REAL"] + shift
    lift = 0.16 if shift == 0 else 0.02

    def judged(value: float, effect: float) -> str:
        if value - 0.09 > 0:
            return "pass"
        return "fail" if value + 0.09 < effect else "inconclusive"

    def gap(name: str, value: float, effect: float) -> dict[str, Any]:
        return _check(name, judged(value, effect), value, 0.0, [value - 0.09, value + 0.09],
                      effect=effect, power=0.93, minimum_detectable=0.13,
                      months_needed=31.0 if judged(value, effect) == "inconclusive" else None,
                      reason=_why("shown", measure=name, value=value, value_low=value - 0.09,
                                  value_high=value + 0.09, effect=effect))  # fmt: skip

    chance, p = ("pass", 0.025) if shift == 0 else ("fail", 0.41)
    return [
        _check("certificate", "pass", 0.0, 0.0,
               reason=_why("no_look_ahead", cuts=4000, bound=0.0011)),
        _check("sample", "pass", 3016.0, 100.0,
               reason=_why("sample_enough", trades=3016, days=402, months=21)),
        gap("profit", real, 0.15),
        gap("naive", lift, 0.075),
        _check("random", chance, real - 0.05, 0.0, [real - 0.12, real + 0.02], effect=0.075,
               power=0.97, minimum_detectable=0.098,
               reason=_why("shown", measure="random", value=real - 0.05)),
        _check("shuffle", chance, p, 0.025, effect=0.075, power=0.9, minimum_detectable=0.14,
               reason=_why("shuffle_passed" if shift == 0 else "shuffle_excluded", alpha=0.025,
                           full_p=p, full_draws=39, full_planned=39, full_stopped=0, block_p=p,
                           block_draws=17, block_planned=39, block_stopped=1, effect=0.075)),
        gap("entry", real + 0.06, 0.15),
        _check("deflated", *(("pass", 0.981) if shift == 0 else ("inconclusive", 0.62)), 0.95),
        _check("generalisation", "pass", 0.04, 0.30, [-0.05, 0.13], effect=0.30, power=0.99,
               minimum_detectable=0.13),
        _check("months", "info", 15 / 21, 1.0, gates=False, effect=0.15, power=0.07,
               reason=_why("months_up", good=15, months=21, effect=0.15, power=0.07)),
    ]  # fmt: skip


def trades(seed: int = 0, n: int = 3016, mean: float = 0.21) -> pl.DataFrame:
    """Return ``n`` REAL trades and as many of NAIVE, with the columns of trades.parquet."""
    rng = np.random.default_rng(seed)
    frames = []
    for arm, level in (("REAL", mean), ("NAIVE", 0.05)):
        r = np.where(rng.random(n) < 0.36, 2.9, -1.05) + level - 0.372
        start = dt.datetime(2023, 5, 1, 14, 30, tzinfo=dt.UTC)
        decided = [
            start + dt.timedelta(minutes=5 * int(k)) for k in np.sort(rng.integers(0, 193_000, n))
        ]
        entry = 4000 + np.round(rng.normal(0, 80, n) * 4) / 4
        frames.append(pl.DataFrame({
            "arm": [arm] * n, "stream": rng.choice(STREAMS, n).tolist(),
            "side": pl.Series(rng.choice([-1, 1], n), dtype=pl.Int8),
            "decision_time": pl.Series(decided, dtype=pl.Datetime("us", "UTC")),
            "entry_time": pl.Series(decided, dtype=pl.Datetime("us", "UTC")),
            "exit_time": pl.Series([d + dt.timedelta(hours=2) for d in decided],
                                   dtype=pl.Datetime("us", "UTC")),
            "entry_price": entry, "exit_price": entry + r * 6, "risk_points": np.full(n, 6.0),
            "target_r": np.full(n, 3.0), "r_gross": r + 0.05, "r_net": r, "mfe_r": np.abs(r) + 0.1,
            "mae_r": np.full(n, 0.6), "reason": np.where(r > 0, "target", "stop").tolist(),
            "score": rng.random(n), "probability": rng.uniform(0.2, 0.6, n),
            "fold": rng.integers(0, 21, n), "costs": np.full(n, 3.75), "money": r * 75,
            "quantity": np.ones(n), "currency": ["USD"] * n,
        }))  # fmt: skip
    return pl.concat(frames)


def _strategy() -> dict[str, Any]:
    return {"name": "simulated-demo", "distribution": "ffm-strategy-simulated-demo",
            "version": "0.1.0", "code_hash": _sha("code"), "hook_api": 1, "private": False,
            "summary": "Made-up strategy of the report's tests", "labeler": "simulated-demo",
            "params": {"length": 10, "factor": 3.0}}  # fmt: skip


def _data() -> list[dict[str, Any]]:
    finding = {"level": "warn", "code": "suspected_roll", "message": "3 jumps look like rolls",
               "count": 3}  # fmt: skip
    return [{"instrument": s.split("/")[0], "timeframe": "5m", "path_name": None,
             "sha256": _sha(s), "rows": 174_321, "first": "2023-01-02T00:00:00Z",
             "last": "2025-06-30T20:55:00Z", "currency": "USD",
             "audit": {"level": "warn" if i else "info", "findings": [finding] if i else []},
             "dropped": {"duplicate": 4} if i else {}}
            for i, s in enumerate(STREAMS)]  # fmt: skip


def full(*, shift: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Return a complete PASS record; a negative ``shift`` turns it into FAIL."""
    rng = np.random.default_rng(seed)
    decision = "PASS" if shift == 0 else "FAIL"
    checks = _checks(shift)
    told = [_why("check", check=c["name"]) for c in checks
            if c["gates"] and c["reason"] and c["outcome"] == decision.lower()]  # fmt: skip
    first = "pass_selection" if decision == "PASS" else "ruled_out"
    reasons = [_why(first, months=21, claim="selection"), *told]
    counts = {"REAL": 3016, "NAIVE": 6030, "ENTRY": 6030}
    result = {
        "strategy": _strategy(), "data": _data(),
        "config": {"learner": "xgb", "features": ["trivial8"], "seed": 0, "permutations": 39},
        "prereg": {"hash": _sha("prereg"), "claim": "selection",
                   "checks": [{"name": "profit", "constants": {"delta": 0.15}}],
                   "settings": {"bootstrap": 2000, "block_days": 5}},
        "certificate": {"status": "clean", "cuts": 4000, "rows_compared": 91_220,
                        "detection_bound": 0.0011,
                        "subjects": [asdict(Examined("labeler", "simulated-demo", "SIMA7/5m")),
                                     asdict(Examined("features", "trivial8", "SIMA7/5m"))],
                        "failures": []},
        "decisions": {"n": 7811, "void": {"roll": 41, "small_risk": 12}, "n_valid": 7758,
                      "overlap_share": 0.38, "per_stream": dict.fromkeys(STREAMS, 3879)},
        "folds": _folds(22),
        "arms": {k: _arm(k, n, shift) for k, n in counts.items()} | _drawn(shift),
        "checks": checks,
        "verdict": {"decision": decision, "reasons": reasons, "qualifier": "",
                    "months_needed": None},
        "trigger": {"mean_r": 0.05, "interval": [-0.01, 0.11], "entry_difference": 0.11,
                    "entry_interval": [0.02, 0.2],
                    "reason": _why("rule_flat", mean=0.05, mean_low=-0.01, mean_high=0.11)},
        "trials": {"n": 7, "effective_n": 3.4, "sharpe_variance": 0.0021},
        "plots": _plots(rng, pl.DataFrame(), shift),
    }  # fmt: skip
    return _record(result)


def _record(result: dict[str, Any]) -> dict[str, Any]:
    envelope = {"run_id": "20250701T120000-simulated-demo", "started": "2025-07-01T12:00:00Z",
                "finished": "2025-07-01T12:00:41Z", "seconds": 41.2, "jobs": 2,
                "command": "ffm eval simulated-demo --demo --seed 0",
                "cache": {"hits": 3, "misses": 9},
                "versions": {"ffm": "0.1.0", "python": "3.11.9", "numpy": "2.4.0"},
                "platform": "Linux x86_64", "trial_count_today": 7, "ledger_head": _sha("head"),
                "ledger_since": "2025-01-04T10:00:00Z",
                "out": "ffm-runs", "repeat": False}  # fmt: skip
    return {"schema": "ffm-run/2", "result": result, "result_hash": _sha("result"),
            "envelope": envelope}  # fmt: skip


def refused() -> dict[str, Any]:
    """Return a run that stopped at the certificate: no folds, arms or plots."""
    run = full()
    result = run["result"]
    result["certificate"].update(status="broken", failures=[{
        "subject": asdict(Examined("labeler", "simulated-demo", "SIMA7/5m")),
        "check": "prefix", "column": "swing_high", "bar": 4117,
        "stamp": "2023-02-01T15:35:00Z", "first_future_bar": 4119,
        "reason": _why("value", part=4012.25, full=4015.0, last=4118, later=4119,
                       later_stamp="2023-02-01T15:45:00Z"),
        "repair": _why("stated", text="confirm the swing two bars later")}])  # fmt: skip
    result["verdict"] = {
        "decision": "REFUSED",
        "qualifier": "",
        "months_needed": None,
        "reasons": [_why("refused_look_ahead"), _why("failure", place=0)],
    }
    result.update(
        folds=None,
        arms={},
        plots={},
        trigger={},
        trials={},
        checks=[_check("certificate", "refused", 1.0, 0.0, reason=_why("failures_found", count=1))],
    )
    return run


def no_learner() -> dict[str, Any]:
    """Return a trigger run: no calibration, no shuffle, REAL takes everything."""
    run = full()
    result = run["result"]
    result["prereg"]["claim"] = "trigger"
    result["config"]["learner"] = "none"
    asked = ("certificate", "sample", "profit", "entry", "deflated")
    result["checks"] = [c for c in result["checks"] if c["name"] in asked]
    result["arms"] = {k: v for k, v in result["arms"].items() if k in ("REAL", "NAIVE", "ENTRY")}
    result["plots"].update(calibration=None, nulls={})
    result["plots"]["equity"]["arms"].pop("RANDOM")
    result["trigger"] = None
    return run


def inconclusive() -> dict[str, Any]:
    """Return a run with few trades, nulls in its tables and an undecided verdict."""
    run = full(shift=-0.1)
    result = run["result"]
    result["arms"]["REAL"].update(n_trades=61, profit_factor=None, sharpe_daily=None, n_days=38,
                                  total_r=6.7, mean_interval=[-0.24, 0.46])  # fmt: skip
    result["checks"] = [
        _check("certificate", "pass", 0.0, 0.0),
        _check("sample", "inconclusive", 61.0, 100.0,
               reason=_why("sample_short", trades=61, days=38, months=4, min_trades=100,
                           min_days=60, min_months=6)),
        _check("profit", "inconclusive", 0.11, 0.0, [-0.24, 0.46], effect=0.15, power=0.17,
               minimum_detectable=0.5, months_needed=44.0,
               reason=_why("open", measure="profit", value=0.11, value_low=-0.24, value_high=0.46,
                           effect=0.15)),
        _check("deflated", "inconclusive", None, 0.95)]  # fmt: skip
    result["verdict"] = {"decision": "INCONCLUSIVE", "qualifier": "", "months_needed": 44.0,
                         "reasons": [_why("check", check="sample"), _why("check", check="profit"),
                                     _why("months_to_settle", months=44.0, so_far=4)]}  # fmt: skip
    result["plots"]["calibration"] = {"bins": [], "ece": None, "brier": None, "slope": None,
                                      "intercept": None}  # fmt: skip
    return run


def private() -> dict[str, Any]:
    """Return a run of a private strategy, redacted as the evaluation stores it."""
    run = full()
    run["result"]["strategy"].update(private=True, labeler=None, params={}, summary="")
    return run


def hostile() -> dict[str, Any]:
    """Return a run whose every outside name tries to break out of the page."""
    run = full()
    attack = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=2">'
    result = run["result"]
    result["strategy"].update(name=attack, summary=attack, distribution=attack, labeler=attack,
                              params={attack: attack})  # fmt: skip
    result["data"][0].update(instrument=attack, path_name=attack)
    result["verdict"]["reasons"] = [_stated(attack), _stated("[bold red]not markup[/]")]
    result["checks"].append(_check(attack, "fail", 1.0, 2.0, reason=_stated(attack)))
    result["arms"][attack] = _arm(attack, 3, 0.0)
    equity = result["plots"]["equity"]
    equity["arms"][attack] = equity["arms"]["NAIVE"]
    result["plots"]["nulls"][attack] = result["plots"]["nulls"]["random"]
    result["plots"]["months"]["streams"][0] = attack
    result["config"][attack] = attack
    run["envelope"].update(command=f"ffm eval '{attack}'", versions={attack: attack})
    return run
