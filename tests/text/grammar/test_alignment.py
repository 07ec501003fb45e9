"""Links by hand, and the sentence around the words."""

from seq2seq.text.alignment import Link
from seq2seq.text.grammar.alignment import COMMA, Token, links, sentence


def test_sure_where_sure_units_meet_possible_where_any_do() -> None:
    source = [Token("er", ("who",)), Token("hat", ("perfect",), ("verb",)), Token("gelesen", ("verb",))]
    target = [Token("he", ("who",)), Token("is", (), ("verb",)), Token("reading", ("verb",), ("perfect",))]
    # hat and is both possibly speak of the verb; hat surely means the perfect, of which reading possibly speaks
    assert links(source, target) == (
        Link(0, 0, True), Link(1, 1, False), Link(1, 2, False), Link(2, 1, False), Link(2, 2, True),
    )  # fmt: skip


def test_a_word_may_speak_of_two_units_and_a_unit_take_two_words() -> None:
    assert links([Token("im", ("in", "the"))], [Token("in", ("in",)), Token("the", ("the",))]) == (
        Link(0, 0, True),
        Link(0, 1, True),
    )
    assert links([Token("x", ("a",))], [Token("y", ("b",))]) == ()


def test_commas_join_the_word_before_once_and_never_end_a_sentence() -> None:
    tokens = [Token("weil", ("because",)), COMMA, COMMA, Token("er"), COMMA]
    text, words = sentence(tokens, ".")
    assert text == "Weil, er."
    assert [word.text for word in words] == ["weil,", "er,"]
    assert words[0].sure == ("because",)
