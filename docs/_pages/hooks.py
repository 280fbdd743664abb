"""``hooks.md``: every hook with its arguments, from the hook specifications."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any

from _pages import markdown as md
from ffm_core import hookspecs

_INTRO = f"""# Hooks

A plug-in offers records by implementing hooks: functions marked with
`ffm_core.hookimpl` in the module its entry point names. Strategies use the group
`ffm.strategies`, everything else `ffm.extensions`. A hook takes the arguments shown
here and returns an iterable of [records](records.md); it is called once per evaluation.

`HOOK_API` is {hookspecs.HOOK_API}. It counts breaking changes. A module may state the
number it was written for as `FFM_HOOK_API = {hookspecs.HOOK_API}`; one that is newer than
this `ffm-core`, or too old, is reported and not used.

A module that declares a hook which does not exist, leaves the mark off a function with a
hook's name, or wraps a hook is reported in one line and not used.

"""
_USERS = {
    "ffm_labelers": "the strategies (`supertrend`, `cisd`)",
    "ffm_feature_sets": "`ffm-core` (`ffm68` and others)",
    "ffm_embedders": "`ffm-core` (`ffm-bolt-synth`, `stats`, what was added)",
    "ffm_learners": "`ffm-core[xgb]` (`xgb` and its heads)",
    "ffm_exit_policies": "`ffm-core` (`fixed_rr`, `dynamic_target`, `atr_trail`)",
    "ffm_controls": "extensions",
    "ffm_verdict_checks": "`ffm-core` (the checks of `strict`)",
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
    parts = [_INTRO, md.table(("hook", "what it does", "who offers"), rows)]
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
