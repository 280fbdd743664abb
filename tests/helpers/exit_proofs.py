"""All that an evaluation proves of an exit policy, in one certificate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ffm_core.bars.table import Bars
from ffm_core.causal.falsify import MAX_CUTS, falsify, merge
from ffm_core.causal.process.budget import Budget
from ffm_core.causal.subjects.exits import ExitSubject, computes, prove_step
from ffm_core.labels.entries import Entries
from ffm_core.labels.exits import exit_columns
from ffm_core.records import Certificate, ExitPolicy, Params


def falsify_exit_policy(
    policy: ExitPolicy,
    bars: Bars,
    entries: Entries,
    params: Params,
    *,
    seed: int,
    max_cuts: int = MAX_CUTS,
    others: Sequence[Bars] = (),
    budget: Budget | None = None,
) -> Certificate:
    """Return the certificate of its columns, state and targets, and of its step."""
    proofs: list[Certificate] = []
    if computes(policy):
        proofs += falsify(
            [ExitSubject(policy, params)], bars, seed=seed,
            decision_bars=np.unique(entries.bar - 1), max_cuts=max_cuts, others=others,
            budget=budget,
        )  # fmt: skip
    if all(proof.status == "clean" for proof in proofs):
        columns = exit_columns(policy, bars, params)
        proofs.append(prove_step(policy, bars, entries, params, columns, seed=seed))
    return merge(proofs)
