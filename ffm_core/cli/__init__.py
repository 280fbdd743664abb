"""The ``ffm`` command: a table of names, imported only when one is run."""

from __future__ import annotations

import click

from ffm_core import __version__
from ffm_core.cli._shell import LazyGroup

# name -> (where it lives, summary shown by --help). Asking a command for its own
# summary would import it, so the summary stands beside it.
COMMANDS = {
    "eval": ("ffm_core.cli.eval:command", "Judge a strategy and say why."),
    "check": ("ffm_core.cli.check:command", "Check a strategy for look-ahead without judging it."),
    "plugins": ("ffm_core.cli.plugins:group", "List and show plug-ins."),
    "new": ("ffm_core.cli.new:group", "Write a new plug-in package from a template."),
    "features": ("ffm_core.cli.features:group", "List, show and compute feature sets."),
    "backbone": ("ffm_core.cli.backbone:group", "List, show and add backbones."),
    "context": ("ffm_core.cli.context:group", "Probe embeddings; train and certify context heads."),
    "data": ("ffm_core.cli.data:group", "Import, check and describe market data."),
    "runs": ("ffm_core.cli.runs:group", "List, show, verify and compare runs."),
    "explain": ("ffm_core.cli.runs:explain", "Print the arithmetic of one label."),
    "report": ("ffm_core.cli.report:command", "Rewrite the HTML report of a run."),
    "ruler": ("ffm_core.cli.ruler:group", "Validate the verdict on simulated worlds."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done or PASS, 1 FAIL, 2 usage, 3 plug-in, 4 data, 5 INCONCLUSIVE, "
    "6 REFUSED, 7 something is missing, 70 a bug, 130 interrupted.",
)
@click.version_option(__version__, prog_name="ffm", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")
def main() -> None:
    """Tell whether a trading edge is real.

    A strategy is an installed plug-in or a single .py file; 'ffm eval NAME'
    judges it.
    """


__all__ = ["COMMANDS", "main"]
