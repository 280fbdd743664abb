"""On which terms decisions become trades; one record, the same for every arm."""

from __future__ import annotations

from dataclasses import dataclass

from ffm_core.bars import Bars
from ffm_core.evaluate.parts import Parts
from ffm_core.labels.exits import exit_columns
from ffm_core.labels.outcomes import outcomes
from ffm_core.labels.policies import setting
from ffm_core.labels.step import TIES
from ffm_core.records import Decisions, ExitPolicy, Outcomes, Overlap, Params
from ffm_core.runs.config import EvalConfig
from ffm_core.runs.resolve import check_params
from ffm_core.types import Float64, Int64


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the decisions of a run are executed.

    Parameters
    ----------
    params : mapping
        Parameters of the labeler, checked.
    exit, exit_params
        The run's exit policy and its parameters.
    label_exit, label_exit_params
        The static policy of the labels and its parameters.
    horizon_bars : int
        Longest life of a trade whose decision states none.
    flat_at_session_end : bool
        Whether trades close at the session's scheduled end.
    slippage_ticks : float, optional
        Per side; None for the instrument's own.
    overlap : str
        Which picks are held.
    """

    params: Params
    exit: ExitPolicy
    exit_params: Params
    label_exit: ExitPolicy
    label_exit_params: Params
    horizon_bars: int
    flat_at_session_end: bool
    slippage_ticks: float | None
    overlap: Overlap

    @property
    def exits(self) -> tuple[tuple[ExitPolicy, Params], ...]:
        """The policies of labels and run with their parameters, once where they are the same."""
        chosen = {self.label_exit.name: (self.label_exit, self.label_exit_params)}
        chosen[self.exit.name] = (self.exit, self.exit_params)
        return tuple(chosen.values())

    @property
    def labels_are_trades(self) -> bool:
        """Whether the run leaves its trades exactly as the labels do."""
        same = self.exit.name == self.label_exit.name
        return same and self.exit_params == self.label_exit_params

    @property
    def tie(self) -> str:
        """Who wins under the run's exit when one bar touches stop and target."""
        given = (
            setting(self.exit, self.exit_params, "tie") if self.exit.declares("tie") else TIES[0]
        )
        return str(given)

    def columns(self, bars: Bars) -> Float64 | None:
        """Return the columns of the run's exit, (T, K); None where it has none."""
        return exit_columns(self.exit, bars, self.exit_params)

    def fill(
        self,
        bars: Bars,
        decisions: Decisions,
        *,
        target_r: Float64 | None = None,
        columns: Float64 | None = None,
        broken: Int64 | None = None,
        tie: str | None = None,
    ) -> Outcomes:
        """Return what becomes of decisions under the run's exits.

        ``columns`` of the exit and ``broken``, the holes up to each bar, are those of these bars,
        where they are known already; ``tie``
        says who wins when one bar touches stop and target, instead of what the exit says.
        """
        return outcomes(
            bars, decisions, self.exit, self.exit_params, horizon_bars=self.horizon_bars,
            flat_at_session_end=self.flat_at_session_end, slippage_ticks=self.slippage_ticks,
            target_r=target_r, columns=columns, broken=broken, tie=tie,
        )  # fmt: skip

    def label(self, bars: Bars, decisions: Decisions, *, broken: Int64 | None = None) -> Outcomes:
        """Return what becomes of decisions under the static policy of the labels."""
        return outcomes(
            bars, decisions, self.label_exit, self.label_exit_params,
            horizon_bars=self.horizon_bars, flat_at_session_end=self.flat_at_session_end,
            slippage_ticks=self.slippage_ticks, broken=broken,
        )  # fmt: skip


def terms_of(parts: Parts, config: EvalConfig) -> Terms:
    """Return the terms a configuration asks for.

    Parameters that a labeler declares as its exit's (``Labeler.exit_params``) are that
    policy's defaults. What the user sets for the exit goes to the run's policy, and to the
    labels too when both are the same policy.

    Raises
    ------
    ConfigError
        When a parameter is unknown or out of range.
    """
    labeler = parts.labeler
    params = check_params(labeler.params, config.params, owner=labeler.name)

    def own(policy: ExitPolicy, given: Params) -> Params:
        declared = {param.name for param in policy.params}
        shared = {name: params[name] for name in labeler.exit_params if name in declared}
        return check_params(policy.params, {**shared, **given}, owner=f"exit {policy.name}")

    run = own(parts.run_policy, config.exit_params)
    same = parts.run_policy.name == parts.label_policy.name
    return Terms(
        params=params,
        exit=parts.run_policy,
        exit_params=run,
        label_exit=parts.label_policy,
        label_exit_params=run if same else own(parts.label_policy, {}),
        horizon_bars=labeler.horizon_bars,
        flat_at_session_end=config.flat_at_session_end,
        slippage_ticks=config.slippage_ticks,
        overlap=config.overlap,
    )


__all__ = ["Terms", "terms_of"]
