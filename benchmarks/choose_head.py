"""Which signal head should be the default? Measured on worlds, never on test months.

For each world the folds of the real evaluation are fitted with every head, and
the mean net R of what it takes is compared with taking everything. Seeds from
100 on are used, so that the seeds the ruler is validated on stay untouched. The
falsifier is left out, since the worlds' labeler is proven elsewhere.

    python -m benchmarks.choose_head --seeds 100-119 --edges 0.2,0.4,0.6
    python -m benchmarks.choose_head --data ES=es_5m.parquet --strategy supertrend
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ffm_core.bars import Bars
from ffm_core.errors import FFMError
from ffm_core.evaluate.executor import Executor
from ffm_core.evaluate.fit import FoldViews, fit_real
from ffm_core.evaluate.folding import fold
from ffm_core.evaluate.job import direct_job
from ffm_core.evaluate.pick import pick
from ffm_core.evaluate.pool import Folded
from ffm_core.evaluate.progress import Silent
from ffm_core.evaluate.selector import Selector
from ffm_core.evaluate.streams import decide_all, prepare
from ffm_core.evaluate.trial import preregister
from ffm_core.keyed import keyed
from ffm_core.records import Decisions, Labeler, Params
from ffm_core.runs.config import EvalConfig
from ffm_xgb.learner import LEARNERS

HEADS = ("xgb", "linear", "blend", "classic")


def lift(folded: Folded, head: str, *, seeds: Sequence[int], inner: bool) -> float:
    """Mean net R of the picked rows minus that of all rows, over all folds.

    With ``inner`` the picked rows are those of validation, so that real test
    months are not looked at for a choice of ours.
    """
    learner = next(item for item in LEARNERS if item.name == f"xgb:{head}")
    pool, r = folded.pool, folded.pool.outcomes.r_net
    picked: list[np.ndarray] = []
    everything: list[np.ndarray] = []
    for one in folded.plan.folds:
        train = one.train[pool.labels.valid[one.train]]
        test = one.validation if inner else one.test
        fit_rows, point_rows = train, one.validation
        if inner:  # the newest quarter of train stands in for validation
            cut = int(0.75 * len(train))
            begin = pool.table.t_decision[train[cut]]
            point_rows = train[cut:]
            fit_rows = train[:cut][pool.labels.t_end[train[:cut]] < begin]
        views = FoldViews(
            index=one.index,
            train=pool.view(fit_rows, outcomes=True),
            validation=pool.view(point_rows, outcomes=True),
            test=pool.view(test, outcomes=False),
        )
        fitted = fit_real(views, learner=learner, seeds=seeds, share=0.5, answers={"score"})
        chosen = replace(one, test=test, validation=point_rows)
        found, _ = pick(
            replace(folded.plan, folds=(chosen,)), [views], [Selector.of(fitted, learner)]
        )
        picked.append(r[test[found.picked]])
        everything.append(r[test])
    return float(np.concatenate(picked).mean() - np.concatenate(everything).mean())


def prepare_bars(bars: Sequence[Bars], labeler: Labeler, name: str) -> Folded:
    """Prepare folds as the evaluation would, without the falsifier."""
    config = EvalConfig(strategy=name, jobs=1)
    with tempfile.TemporaryDirectory() as home:
        job = direct_job(bars, labeler, config, Path(home), None)
        streams = prepare(job, decide_all(job, Silent()), Silent())
        return fold(job, preregister(job), streams)


Task = tuple[int, float, int, str]  # seed, edge, keep every k-th decision, shape of the mark


def world_rows(task: Task) -> list[dict[str, object]]:
    """Measure every head on one planted world."""
    from ffm_core.testing.worlds import make_world

    seed, edge, thin, mark = task
    world = make_world("planted", seed, edge)

    def decide(bars: Bars, params: Params) -> Decisions:
        found = world.labeler.decide(bars, params)
        return found.take(np.arange(0, len(found), thin))

    folded = prepare_bars(world.bars, replace(world.labeler, decide=decide), "world")
    if mark == "two-sided":
        folded = _two_sided(folded, seed)
    rows = round(np.mean([len(fold.train) for fold in folded.plan.folds]))
    market = f"{mark} mark {edge:+.1f}, every {thin}"
    return [
        {"market": market, "seed": seed, "head": head, "train_rows": rows,
         "lift_r": lift(folded, head, seeds=(0, 1, 2), inner=False)}
        for head in HEADS
    ]  # fmt: skip


def _two_sided(folded: Folded, seed: int) -> Folded:
    """Replace the mark by a value that is far from zero, on either side, where marked."""
    design = folded.pool.design
    place = design.names.index("labeler/mark")
    rng = keyed(seed, "two-sided mark")
    marked = design.x[:, place] > 0.5
    size = np.where(marked, rng.uniform(0.5, 1.0, len(design)), rng.uniform(0, 0.5, len(design)))
    x = design.x.copy()
    x[:, place] = size * rng.choice((-1.0, 1.0), len(design))
    return replace(folded, pool=replace(folded.pool, design=replace(design, x=x)))


def real_rows(data: Sequence[str], strategy: str) -> Iterator[dict[str, object]]:
    """Measure every head on the inner splits of real bars."""
    from ffm_core.bars.readers import load_many
    from ffm_core.host.loading import open_host

    labeler = open_host(strategy).labeler().record
    for spec in data:
        bars = [item.bars for item in load_many([spec])]
        folded = prepare_bars(bars, labeler, strategy)
        for head in HEADS:
            value = lift(folded, head, seeds=(0, 1, 2), inner=True)
            yield {"market": f"{strategy} {bars[0].stream}", "head": head, "lift_r": value}


def main() -> None:
    """Print one JSON line per measurement, then the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="100-109")
    parser.add_argument("--edges", default="0.2,0.4,0.6")
    parser.add_argument("--thin", default="1,5", help="keep every k-th decision")
    parser.add_argument("--marks", default="plain,two-sided")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--strategy", default="supertrend")
    args = parser.parse_args()
    rows: list[dict[str, object]] = []
    if args.data:
        try:
            rows.extend(real_rows(args.data, args.strategy))
        except FFMError as error:
            parser.error(str(error))
    else:
        first, last = (int(part) for part in args.seeds.split("-"))
        tasks: list[Task] = [
            (seed, float(edge), int(thin), mark)
            for mark in args.marks.split(",")
            for thin in args.thin.split(",")
            for edge in args.edges.split(",")
            for seed in range(first, last + 1)
        ]
        for found in Executor(args.jobs).run(world_rows, tasks):
            rows.extend(found)
    for row in rows:
        print(json.dumps(row))
    groups = sorted({(str(row["market"]), str(row["head"])) for row in rows})
    for market, head in groups:
        lifts = [
            float(str(r["lift_r"])) for r in rows if (r["market"], r["head"]) == (market, head)
        ]
        spread = np.std(lifts, ddof=1) / np.sqrt(len(lifts)) if len(lifts) > 1 else float("nan")
        mean = np.mean(lifts)
        print(f"# {market:<28} {head:<8} n {len(lifts):>3}  lift {mean:+.4f} R ± {spread:.4f}")


if __name__ == "__main__":
    main()
