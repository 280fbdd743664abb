"""Links lead somewhere, inside the project."""

from __future__ import annotations


def test_links_resolve(docs, page):
    assert docs.broken_links(page) == []


def test_every_page_of_the_docs_can_be_reached_from_the_index(docs):
    index = docs.ROOT / "docs" / "index.md"
    reached, left = {index}, [index]
    while left:
        page = left.pop()
        found = {(page.parent / link.partition("#")[0]).resolve() for link in docs.links(page)}
        fresh = {place for place in found - reached if place.suffix == ".md" and place.is_file()}
        reached |= fresh
        left += sorted(fresh)
    pages = set((docs.ROOT / "docs").rglob("*.md"))
    assert sorted(p.name for p in pages - reached) == []


def test_a_link_to_nowhere_is_noticed(docs, tmp_path):
    (tmp_path / "other.md").write_text("# A *heading* of `two` words\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[good](other.md) [good](other.md#a-heading-of-two-words) [out](https://example.org)\n"
        "[gone](gone.md) [no heading](other.md#none) [self](#none)\n"
        "```text\n[inside a block](gone.md)\n```\n"
    )
    assert docs.broken_links(page) == ["gone.md", "other.md#none", "#none"]
