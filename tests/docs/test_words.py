"""The words of the project: glossary, docstrings, chores."""

from __future__ import annotations

import ast
import re

TERM = re.compile(r"^\| \*\*([^*]+)\*\* \| (.+) \|$", re.MULTILINE)
ITALIC = re.compile(r"(?<!\*)\*(\w[^*\n]+)\*(?!\*)")
LEAST_DOCUMENTED = 0.95
# One word per idea: the word on the left is not used for what the right one means.
AVOIDED = {"candle": "bar", "candlestick": "bar", "ticker": "instrument", "walkforward":
           "walk-forward", "out-of-sample": "test", "lookahead": "look-ahead"}  # fmt: skip
NEEDED = (
    "arm", "bar", "certificate", "check", "claim", "decision", "deflated Sharpe ratio", "edge",
    "embargo", "exit policy", "falsifier", "fold", "interval", "labeler", "ledger", "look-ahead",
    "minimum detectable effect", "power", "pre-registration", "purge", "qualified", "R",
    "run record", "seal", "stream", "trial", "verdict", "void",
)  # fmt: skip


def terms(docs):
    return dict(TERM.findall((docs.ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")))


def test_the_glossary_is_sorted_and_says_something(docs):
    names = list(terms(docs))
    assert names == sorted(names, key=str.lower)
    assert all(len(meaning) > 15 for meaning in terms(docs).values())


def test_the_glossary_has_the_words_of_the_field(docs):
    assert sorted(set(NEEDED) - set(terms(docs))) == []


def test_words_set_in_italics_in_the_guide_are_in_the_glossary(docs):
    page = docs.ROOT / "docs" / "how-to" / "read-a-verdict.md"
    marked = {
        word.lower() for word in re.findall(r"(?<!\*)\*(\w[^*\n]+)\*(?!\*)", docs.prose(page))
    }
    known = {name.lower() for name in terms(docs)} | {"purged", "glossary", "italics"}
    assert sorted(marked - known) == []


def test_pages_use_one_word_per_idea(docs, page):
    if "plugins" in page.parts:
        return  # a strategy speaks the language of its own source
    said = docs.prose(page).lower()
    found = [f"{w}: say {AVOIDED[w]}" for w in AVOIDED if re.search(rf"\b{w}s?\b", said)]
    assert found == []


def public_definitions(package):
    """Yield (place, has a docstring) for every public function and class of a package."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield str(path), ast.get_docstring(tree) is not None
        for node in tree.body:
            yield from _definitions(node, path)


def _definitions(node, path):
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    if not isinstance(node, kinds) or node.name.startswith("_"):
        return
    yield f"{path}:{node.lineno} {node.name}", ast.get_docstring(node) is not None
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            if not any("overload" in ast.unparse(d) for d in getattr(child, "decorator_list", ())):
                yield from _definitions(child, path)


def test_public_functions_and_classes_are_documented(docs):
    for package in ("ffm_core", "ffm_xgb"):
        found = list(public_definitions(docs.ROOT / package))
        bare = [place for place, documented in found if not documented]
        share = 1 - len(bare) / len(found)
        assert share >= LEAST_DOCUMENTED, f"{share:.1%} of {package}: {bare[:10]}"


def test_a_bare_function_is_noticed(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""Doc."""\n\n\ndef f():\n    """Doc."""\n\n\ndef g():\n    pass\n'
    )
    assert [ok for _, ok in public_definitions(tmp_path)] == [True, True, False]


def test_chores_named_on_the_pages_exist(docs, page):
    said = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", said, flags=re.MULTILINE))
    assert sorted(named - docs.make_targets()) == []


def test_the_readme_begins_with_the_two_commands(docs):
    first = next(b for b in docs.blocks(docs.ROOT / "README.md") if b.language in docs.SHELLS)
    assert first.text == "make demo\nmake test\n"
