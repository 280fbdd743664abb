"""``ffm new``: write a plug-in package that passes its own tests."""

from __future__ import annotations

from pathlib import Path

import click

from ffm_core.cli.output import emit_json, note, output_options, say


@click.group()
def group() -> None:
    """Write a new plug-in package from a template."""


@group.command("strategy")
@click.argument("name")
@click.option("--private", is_flag=True, help="Hide its names in reports and run records.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to write the package folder into (default: here).",
)
@click.option("--force", is_flag=True, help="Move an existing folder out of the way.")
@output_options
def strategy_command(
    name: str, private: bool, out: Path, force: bool, as_json: bool, quiet: bool
) -> None:
    """Write the complete package ffm-strategy-NAME.

    It contains a small working rule, its tests, and a README that says where to put
    your own.
    """
    from ffm_core.host.scaffold import new_strategy

    written = new_strategy(name, parent=out, private=private, force=force)
    if as_json:
        payload = {
            "name": name,
            "private": private,
            "folder": written.folder,
            "files": list(written.files),
            "backup": written.backup,
        }
        emit_json("ffm-new/1", payload)
        return
    if written.backup:
        note(f"the old folder was moved to {written.backup}")
    say(f"wrote {written.folder} ({len(written.files)} files)")
    if not quiet:
        # Without a slash pip would take the folder's name for a package's.
        place = written.folder if written.folder.is_absolute() else f"./{written.folder}"
        say(f"  next: pip install -e {place} && ffm eval {name} --demo")
        say(f"  test: pytest {written.folder}")
