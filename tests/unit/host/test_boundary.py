from __future__ import annotations

import types

import pytest

from ffm_core.errors import CausalityError, StrategyError, UnavailableError
from ffm_core.host.boundary import MAX_MESSAGE_CHARS, call_plugin
from ffm_core.host.discovery import Found

ORIGIN = Found(
    name="idea", group="ffm.strategies", distribution="ffm-strategy-idea", version="0.3",
    module="ffm_strategy_idea.plugin",
)  # fmt: skip


def plugin_function(code: str, name: str = "ffm_strategy_idea.labeler"):
    """A function that lives, as far as its frames tell, in the plug-in's package."""
    module = types.ModuleType(name)
    path = f"/somewhere/site/{name.replace('.', '/')}.py"
    exec(compile(code, path, "exec"), module.__dict__)
    return module.run


def test_the_answer_and_the_arguments_pass_through():
    assert call_plugin(ORIGIN, "sum", lambda a, *, b: a + b, 1, b=2) == 3


def test_the_message_names_who_what_and_where():
    run = plugin_function("def run(x):\n    return helper(x)\ndef helper(x):\n    return x['a']\n")
    with pytest.raises(StrategyError) as caught:
        call_plugin(ORIGIN, "labeler 'idea'", run, {})
    assert caught.value.problem == (
        "ffm-strategy-idea 0.3: labeler 'idea': KeyError: 'a' (ffm_strategy_idea/labeler.py:4)"
    )
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_line_is_the_plugins_not_the_librarys():
    run = plugin_function("import json\n\ndef run():\n    return json.loads('{')\n")
    with pytest.raises(StrategyError, match=r"\(ffm_strategy_idea/labeler\.py:4\)"):
        call_plugin(ORIGIN, "labeler", run)


def test_a_package_with_a_longer_name_is_somebody_else():
    run = plugin_function("def run():\n    raise OSError\n", name="ffm_strategy_idea_two.x")
    with pytest.raises(StrategyError) as caught:
        call_plugin(ORIGIN, "labeler", run)
    assert "x.py" not in caught.value.problem


def test_long_and_many_lined_messages_become_one_line():
    def run():
        raise ValueError("one\n  two\n" + "x" * 5000)

    with pytest.raises(StrategyError) as caught:
        call_plugin(ORIGIN, "labeler", run)
    assert "ValueError: one two xxx" in caught.value.problem
    assert "\n" not in caught.value.problem
    assert len(caught.value.problem) < MAX_MESSAGE_CHARS + 100


@pytest.mark.parametrize("error", [SystemExit(0), RecursionError("deep"), StopIteration()])
def test_every_kind_of_exception_is_caught(error):
    def run():
        raise error

    with pytest.raises(StrategyError, match=type(error).__name__):
        call_plugin(ORIGIN, "labeler", run)


def test_an_interrupt_is_the_users_and_passes():
    def run():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call_plugin(ORIGIN, "labeler", run)


def test_our_own_complaint_gets_the_plugins_name_and_keeps_its_fix():
    def run():
        raise StrategyError("decisions.side must be +1 or -1", fix="use signs")

    with pytest.raises(StrategyError, match=r"idea 0\.3: labeler: decisions\.side") as caught:
        call_plugin(ORIGIN, "labeler", run)
    assert caught.value.fix == "use signs"


def test_a_complaint_that_names_what_was_called_is_not_prefixed_twice():
    def run():
        raise StrategyError("labeler 'idea': no", fix="use signs", named="labeler 'idea'")

    with pytest.raises(StrategyError, match=r"^ffm-strategy-idea 0\.3: labeler 'idea': no"):
        call_plugin(ORIGIN, "labeler 'idea'", run)


def test_a_plugin_cannot_hand_itself_another_exit_code():
    def run():
        raise CausalityError("not for you to say")

    with pytest.raises(StrategyError) as caught:
        call_plugin(ORIGIN, "labeler", run)
    assert caught.value.exit_code == 3


def test_an_absent_library_keeps_its_kind():
    def run():
        raise UnavailableError("no model", fix="get it")

    with pytest.raises(UnavailableError, match=r"ffm-strategy-idea 0\.3: labeler: no model"):
        call_plugin(ORIGIN, "labeler", run)


def test_calls_inside_calls_are_explained_once():
    def inner():
        raise ValueError("x")

    with pytest.raises(StrategyError) as caught:
        call_plugin(ORIGIN, "outer", lambda: call_plugin(ORIGIN, "inner", inner))
    assert caught.value.problem.count("ffm-strategy-idea") == 1


def test_strict_mode_raises_the_original(monkeypatch):
    monkeypatch.setenv("FFM_STRICT", "1")
    with pytest.raises(ZeroDivisionError):
        call_plugin(ORIGIN, "labeler", lambda: 1 / 0)
    monkeypatch.setenv("FFM_STRICT", "0")
    with pytest.raises(StrategyError):
        call_plugin(ORIGIN, "labeler", lambda: 1 / 0)
