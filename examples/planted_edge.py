"""A rule with a planted edge: what a PASS looks like.

The bars come from a world whose truth is known. Half of this rule's decisions
are marked, and the marked ones earn +0.6 R after costs; the others earn nothing.
A model that reads the mark should therefore pick better than taking everything.

    ffm ruler world --world planted --seed 7 --out bars
    ffm eval examples/planted_edge.py --data bars
"""

from ffm_core.testing.worlds_labeler import LABELER

__all__ = ["LABELER"]  # a single-file strategy is a module with a LABELER
