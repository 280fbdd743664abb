"""``hooks.md``: every hook with its arguments, from the hook specifications."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from _pages import markdown as md
from ffm_core import hookspecs

_INTRO = """# Hooks

A plug-in offers records by implementing hooks: functions marked with
`ffm_core.hookimpl` in the module its entry point names. Strategies use the group
`ffm.strategies`, everything else `ffm.extensions`. A hook takes the arguments shown
here and returns an iterable of [records](records.md); it is called once per evaluation.

`HOOK_API` is {api}. It counts breaking changes. A module may state the
number it was written for as `FFM_HOOK_API = {api}`; one that is newer than
this `ffm-core`, or too old, is reported and not used.
[Move a plug-in to hook API 2](../how-to/move-to-hook-api-2.md) says what changed last.

A module that declares a hook which does not exist, leaves the mark off a function with a
hook's name, or wraps a hook is reported in one line and not used.

## Names that switch packages on

An installed package changes nothing until it is named. `--with NAME` names an extension, or
a strategy for what its package offers beside the labeler. Naming a thing that a package
offers does the same: `--features waves` switches on the package whose entry point is called
`waves`, or that lists the name in its metadata, in a group called like the hook:

```toml
[project.entry-points."ffm.extensions"]
shapes = "ffm_features_shapes.plugin"

[project.entry-points."ffm.feature_sets"]
circles = "ffm_features_shapes.plugin"
waves = "ffm_features_shapes.plugin"
```

Each value is the module of the plug-in that offers the name, in `ffm.extensions` or in
`ffm.strategies`; targets are listed by their group, and
commands by a dotted name: `backbone.pretrain` is `ffm backbone pretrain`. The groups are {groups}.

What `ffm-core` or the strategy under judgement offers is never taken over by a package; two
packages that list one name are a conflict for whoever types it. The run record names every
package that was switched on, in `config.extensions`, and its code is part of the trial.

"""
# Hooks whose names switch a package on.
_LISTED = (
    "ffm_feature_sets",
    "ffm_embedders",
    "ffm_learners",
    "ffm_exit_policies",
    "ffm_targets",
    "ffm_commands",
    "ffm_check_sets",
)
_USERS = {
    "ffm_labelers": "the strategies (`supertrend`, `cisd`)",
    "ffm_feature_sets": "`ffm-core` (`ffm68` and others), `ffm-features-qe150`, `ffm-legacy`",
    "ffm_embedders": "`ffm-core` (`ffm-bolt-synth`, `stats`, what was added)",
    "ffm_learners": "`ffm-core[xgb]` (`xgb` and its heads)",
    "ffm_exit_policies": (
        "`ffm-core` (`fixed_rr`, `dynamic_target`, `session_end`, `atr_trail`, `rs_trail`)"
    ),
    "ffm_targets": "`ffm-core` (`context/…` and others), `ffm-legacy`",
    "ffm_commands": (
        "`ffm-forecast` (`ffm forecast`), `ffm-backbone-training` (`ffm backbone pretrain` and "
        "others)"
    ),
    "ffm_controls": "extensions",
    "ffm_verdict_checks": "`ffm-core` (the checks of `strict`)",
    "ffm_check_sets": "`ffm-core` (`strict`), `ffm-legacy` (`classic`)",
}


def specifications() -> dict[str, Callable[..., Any]]:
    """Return every hook specification by name, in the order of the source."""
    return {
        name: value
        for name, value in vars(hookspecs).items()
        if name.startswith("ffm_") and hasattr(value, f"{hookspecs.PROJECT}_spec")
    }


def page() -> str:
    """Return the page."""
    specs = specifications()
    rows = [
        (f"[`{name}`](#{name})", md.summary(spec), _USERS[name]) for name, spec in specs.items()
    ]
    groups = ", ".join(f"`{hook.replace('_', '.', 1)}`" for hook in _LISTED)
    intro = _INTRO.replace("{api}", str(hookspecs.HOOK_API)).replace("{groups}", groups)
    parts = [intro, md.table(("hook", "what it does", "who offers"), rows)]
    parts += [_section(name, spec) for name, spec in specs.items()]
    return md.join(parts)


def _section(name: str, spec: Callable[..., Any]) -> str:
    arguments = ", ".join(inspect.signature(spec).parameters)
    body = md.sections(spec)
    parts = [f"## `{name}({arguments})`\n", md.plain(body[""]) + "\n"]
    if "Parameters" in body:
        rows = [(md.code(n), md.plain(k), text) for n, k, text in md.entries(body["Parameters"])]
        parts.append(md.table(("argument", "type", "meaning"), rows))
    for title in ("Returns", "Raises"):
        for kind, _, text in md.entries(body.get(title, "")):
            parts.append(f"**{title}** {md.code(kind)}: {text}\n")
    parts.append(md.fenced(_example(body["Example"]), "python"))
    parts.append(f"Since {body['Since'].strip()}.\n")
    return md.join(parts)


def _example(body: str) -> str:
    text = textwrap.dedent(body.removeprefix("::").strip("\n"))
    # The formatter also reads Markdown, and wants a line between import and return.
    text = re.sub(r"(\n    from .+\n)(    return)", r"\1\n\2", text)
    return "from ffm_core import hookimpl\n\n\n" + text
