"""The line of a plug-in that reads a table which the plug-in carries along."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ffm_core.causal.blame.line import Blame, line_at
from ffm_core.causal.blame.sources import SourceFile
from ffm_core.causal.process.carried import carried


def held(function: Callable[..., Any], files: Iterable[Path]) -> Blame | None:
    """Return the first line that reads a table of the module, a closure or a default argument."""
    paths = [str(path) for path in files]
    found = carried([function], lambda file: file in paths)
    names = {str(one.names.get("name", "")).rpartition(".")[2] for one in found}
    for path in paths:
        source = SourceFile(path)
        bodies = (n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef))
        for node in (inner for body in bodies for part in body.body for inner in ast.walk(part)):
            if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
                return line_at(source, node.lineno, f"it reads the table {node.id}")
    return None
