"""``backbones/``: the card of the bundled model."""

from __future__ import annotations

from _pages import markdown as md
from ffm_core.embed.cards import read_card
from ffm_core.embed.catalogue import BOX

_INTRO = """# {name}

The backbone in the box: a small Chronos-Bolt model that has seen **no bar of any market**. It
was pretrained by `ffm backbone pretrain` on synthetic series alone, so no date of any evaluation
is off limits to it. `ffm backbone show {name}` prints this card;
[Use embeddings](../../how-to/use-embeddings.md) tells how to use it.
"""
_AGAIN = """## Make it again

Seed, recipe and training curve lie beside the weights in `ffm_core/embed/box`. On one kind of
machine, with one thread, the same recipe gives the same weights; other processors round
differently and give a model that is as good, but another one. It takes about half an hour on one
core with bfloat16 arithmetic.
"""


def pages() -> dict[str, str]:
    """Return the page of the bundled model, by path below ``reference``."""
    card = read_card(BOX)
    facts = card.facts
    model, training = facts["recipe"]["model"], facts["recipe"]["training"]
    layers = f"encoder {model['encoder_layers']} layers, decoder {model['decoder_layers']}"
    steps = f"{training['steps']:,} steps of {training['rows']} series, seed {facts['seed']}"
    told = [
        ("architecture", f"{card.architecture}: {layers}, width {card.d_model}"),
        ("patch", f"{card.patch} bars"),
        ("parameters", f"{facts['parameters']:,}, stored as {facts['stored']}"),
        ("trained on", card.trained_on),
        ("newest market bar seen", card.fit_cutoff or "none: no market bar was ever seen"),
        ("training", steps),
        ("context", f"up to {card.context_length} bars"),
        ("forecasts", f"{card.horizon} bars at {len(card.quantiles)} quantiles"),
        ("licence", facts["licence"]),
        *((f"conversion, {what}", f"off by {off:.1e}") for what, off in card.checks.items()),
    ]  # fmt: skip
    tables = [
        f"## {table['title']}\n\n" + md.table(table["head"], table["rows"]) + "\n" + table["note"]
        for table in facts["scores"].values()
    ]
    text = md.join([
        _INTRO.format(name=card.name), md.table(("", ""), told), *tables, _AGAIN,
    ])  # fmt: skip
    return {f"backbones/{card.name}.md": text}
