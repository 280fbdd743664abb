"""Names that exist and are not here: what installs or makes them."""

from __future__ import annotations

from ffm_core.errors import UnavailableError
from ffm_core.host.discovery import base_of

# What packages of this project offer by name: hook -> name -> distribution.
_PACKAGES = {
    "ffm_feature_sets": {"qe150": "ffm-features-qe150", "ffm68-legacy": "ffm-legacy"},
    "ffm_commands": {
        **dict.fromkeys(("forecast", "backbone.eval"), "ffm-forecast"),
        **dict.fromkeys(
            ("backbone.pretrain", "backbone.finetune", "backbone.ab", "backbone.eval-synthetic"),
            "ffm-backbone-training",
        ),
    },
    "ffm_targets": dict.fromkeys(("legacy", "context-legacy", "barrier-legacy"), "ffm-legacy"),
    "ffm_check_sets": {"classic": "ffm-legacy"},
}
# Built-in feature sets that exist once something was fitted on this machine: what fits them.
_FITTED = {"ctx7": "ffm context train --data ES=es_5m.csv"}


def require_installed(name: str, *hooks: str, what: str) -> None:
    """Refuse a name that a package of this project brings, when nobody offers it.

    Parameters
    ----------
    name : str
        What the user typed.
    hooks : str
        Through which of them it would be offered.
    what : str
        What it is, for the message, for example ``feature set``.

    Raises
    ------
    UnavailableError
        With the command that installs the package.
    """
    for hook in hooks:
        known = _PACKAGES.get(hook, {})
        distribution = known.get(name) or known.get(base_of(name))
        if distribution is not None:
            spoken = name.replace(".", " ") if hook == "ffm_commands" else name
            raise UnavailableError(
                f"{what} {spoken!r} comes with {distribution}, which is not installed",
                fix=f"pip install {distribution}",
            )


def require_fitted(name: str) -> None:
    """Refuse the name of a built-in set that waits to be fitted on this machine.

    Called when nobody offers the name.

    Raises
    ------
    UnavailableError
        With the command that fits it.
    """
    if name in _FITTED:
        raise UnavailableError(
            f"feature set {name!r} is not fitted on this machine", fix=f"run '{_FITTED[name]}'"
        )
