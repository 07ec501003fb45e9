"""sacreBLEU's metrics against its own command, and where a score has nothing to say."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU

from seq2seq.evaluation import metrics
from seq2seq.evaluation.metrics import DEFAULT, LANGUAGES, TOKENIZERS, Metrics, choose_tokenizer
from seq2seq.runtime.errors import InputError
from tests.support.lines import HYPOTHESES, REFERENCES, altered

SACREBLEU = [sys.executable, "-m", "sacrebleu"]
USUAL = Metrics("13a")

CHINESE = ["今天孩子认识男人。", "马今天爱女人。", "狗爱孩子。"]
JAPANESE = ["彼女は夏、店で卵を食べる。", "猫はお茶を飲む。"]
THAI = ["วันนี้เด็กรู้จักผู้ชาย", "ม้ารักผู้หญิง"]
KOREAN = ["오늘 아이가 남자를 안다.", "말은 여자를 사랑한다."]


def command(hypotheses: list[str], references: list[str], folder: Path, *options: str) -> list[dict[str, object]]:
    """What `sacrebleu` prints at the prompt."""
    for name, lines in (("hypotheses", hypotheses), ("references", references)):
        (folder / name).write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    run = subprocess.run(
        [*SACREBLEU, "references", "-i", "hypotheses", "-m", "bleu", "chrf", "ter", "-w", "9", *options],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    printed: list[dict[str, object]] = json.loads(run.stdout)
    return printed


# --- as sacreBLEU's command -------------------------------------------------------------------------------------------


def test_scores_are_those_of_sacrebleus_command(tmp_path: Path) -> None:
    """Its interval is half the distance of the percentiles to each side of the resamples' mean."""
    found = USUAL.scores(HYPOTHESES, REFERENCES)
    assert "" in HYPOTHESES
    wanted = command(HYPOTHESES, REFERENCES, tmp_path, "--confidence")
    assert [one["name"] for one in wanted] == ["BLEU", "chrF2", "TER"]
    for name, one in zip(("bleu", "chrf", "ter"), wanted, strict=True):
        assert 5 < found[name] < 95
        assert found[name] == pytest.approx(one["score"], abs=1e-8)
        low, high = found[f"{name}_interval"]
        middle, half = float(str(one["confidence_mean"])), float(str(one["confidence_var"]))
        assert (high - low) / 2 == pytest.approx(half, abs=1e-4)
        assert low < middle < high
        assert (low + high) / 2 == pytest.approx(middle, abs=half / 3)
        signature = found["signature" if name == "bleu" else f"{name}_signature"]
        assert signature == one["signature"]
    quick = USUAL.quick_scores(HYPOTHESES, REFERENCES)
    assert quick == {"bleu": found["bleu"], "chrf": found["chrf"]}


def test_chinese_is_scored_as_by_sacrebleus_command_for_chinese(tmp_path: Path) -> None:
    hypotheses = [CHINESE[0], "狗今天爱女人。", "狗爱。"]
    bleu, chrf, _ = command(hypotheses, CHINESE, tmp_path, "-l", "en-zh")
    found = Metrics("zh").scores(hypotheses, CHINESE)
    assert found["bleu"] == pytest.approx(bleu["score"], abs=1e-8)
    assert found["chrf"] == pytest.approx(chrf["score"], abs=1e-8)
    assert "|tok:zh|" in found["signature"]
    assert "|tok:zh+tercom|" in found["ter_signature"]


def test_a_single_sentence_has_scores_but_no_interval(tmp_path: Path) -> None:
    found = USUAL.scores(HYPOTHESES[8:9], REFERENCES[8:9])
    assert not [name for name in found if name.endswith("interval")]
    for name, one in zip(("bleu", "chrf", "ter"), command(HYPOTHESES[8:9], REFERENCES[8:9], tmp_path), strict=True):
        assert found[name] == pytest.approx(one["score"], abs=1e-8)


def test_the_ends_of_the_scale() -> None:
    perfect, nothing = USUAL.scores(REFERENCES, REFERENCES), USUAL.scores([""] * len(REFERENCES), REFERENCES)
    assert [perfect[name] for name in ("bleu", "chrf", "ter")] == pytest.approx([100, 100, 0])
    assert [nothing[name] for name in ("bleu", "chrf", "ter")] == pytest.approx([0, 0, 100])
    assert USUAL.quick_scores([""], ["a"]) == {"bleu": 0.0, "chrf": 0.0}


# --- which tokens -----------------------------------------------------------------------------------------------------


def test_the_names_are_sacrebleus() -> None:
    assert sorted(TOKENIZERS) == sorted(BLEU.TOKENIZERS)
    assert set(LANGUAGES.values()) < set(TOKENIZERS)


@pytest.mark.parametrize(
    ("language", "references", "tokenizer"),
    [
        ("en", REFERENCES, "13a"),
        ("zh", CHINESE, "zh"),
        ("zh-Hant", CHINESE, "zh"),
        ("zh_CN", CHINESE, "zh"),
        ("cmn", CHINESE, "zh"),
        ("ja", JAPANESE, "ja-mecab"),
        ("ko", KOREAN, "ko-mecab"),
        ("th", THAI, "char"),
        ("km", THAI, "char"),
        ("target", CHINESE, "zh"),
        ("target", JAPANESE, "ja-mecab"),
        ("target", THAI, "char"),
        ("target", KOREAN, "ko-mecab"),
        ("target", REFERENCES, "13a"),
        ("en", [*REFERENCES, *CHINESE], "13a"),
        ("en", [], "13a"),
    ],
)
def test_the_tokenizer_follows_the_language_and_else_the_script(
    language: str, references: list[str], tokenizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PACKAGES", {})  # all that is optional is there
    assert choose_tokenizer(None, language, references) == tokenizer
    assert choose_tokenizer("intl", language, references) == "intl"


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_without_its_package_a_language_is_scored_by_characters_with_a_warning(
    language: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = LANGUAGES[language]
    monkeypatch.setattr(metrics, "PACKAGES", {usual: (("absent_module",), "sacrebleu[x]")})
    with caplog.at_level(logging.WARNING):
        assert choose_tokenizer(None, language, JAPANESE) == "char"
    assert [record.getMessage() for record in caplog.records] == [
        f"BLEU and TER count characters: {usual}, which is usual for this language, needs `pip install 'sacrebleu[x]'`"
    ]
    with pytest.raises(InputError, match=rf"evaluation\.tokenize={usual} needs a package: pip install"):
        choose_tokenizer(usual, language, JAPANESE)


@pytest.mark.parametrize(("tokenizer", "lines"), [("zh", CHINESE), ("char", THAI), ("char", JAPANESE)])
def test_a_script_without_spaces_has_a_bleu_between_its_ends(tokenizer: str, lines: list[str]) -> None:
    """By `13a` each of these sentences is one word or two, so that BLEU is 0 unless all is right."""
    half = [line[: 2 * len(line) // 3] for line in lines]
    assert tokenizer != DEFAULT
    assert Metrics(DEFAULT).scores(half, lines)["bleu"] == 0
    found = Metrics(tokenizer).scores(half, lines)
    assert 10 < found["bleu"] < 90
    assert 10 < found["ter"] < 90
    perfect = Metrics(tokenizer).scores(lines, lines)
    assert (perfect["bleu"], perfect["ter"]) == (pytest.approx(100), 0)


# --- what BLEU cannot say ---------------------------------------------------------------------------------------------


def test_a_bleu_of_zero_comes_with_its_reason() -> None:
    short = ["Thank you."] * 5  # three tokens
    found = USUAL.scores(short, short)
    assert found["bleu"] == 0
    assert found["bleu_note"].startswith("BLEU says nothing here: no reference has four tokens (13a)")
    long = USUAL.scores(["Thank you you you you."] * 5, short)
    assert long["bleu"] > 0
    assert long["bleu_note"] == found["bleu_note"]
    assert USUAL.scores(short, REFERENCES[8:13])["bleu_note"].startswith("BLEU is 0: no translation has four tokens")
    assert USUAL.scores(["", " "], REFERENCES[8:10])["bleu_note"] == "all 2 translations are empty"
    assert not USUAL.can_measure(short)
    assert USUAL.can_measure([*short, "Thank you, all."])
    assert "no token (13a) of any translation is correct" in USUAL.scores(["a b c d"], ["e f g h"])["bleu_note"]
    assert "bleu_note" not in USUAL.scores(REFERENCES, REFERENCES)


# --- intervals and significance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [1, 2, 54])
def test_intervals_stay_on_the_scale(wrong: int) -> None:
    """Where all but a few are right or wrong, a mean with the same distance to both sides leaves it."""
    hypotheses = [*HYPOTHESES[:wrong], *REFERENCES[wrong:]] if wrong < 10 else [*[" "] * wrong, *REFERENCES[wrong:]]
    found = USUAL.scores(hypotheses, REFERENCES)
    for name in ("bleu", "chrf", "ter"):
        low, high = found[f"{name}_interval"]
        assert -1e-9 <= low <= found[name] <= high <= 100 + 1e-9, name
        assert low < high


def test_the_paired_bootstrap_is_that_of_sacrebleus_command(tmp_path: Path) -> None:
    other = [text if i % 4 else altered(text, i + 1) for i, text in enumerate(HYPOTHESES)]
    (tmp_path / "other").write_text("".join(f"{text}\n" for text in other), encoding="utf-8")
    options = ["-i", "hypotheses", "other", "-m", "bleu", "--paired-bs", "-w", "9", "--format", "json"]
    command(HYPOTHESES, REFERENCES, tmp_path)  # writes the files
    run = subprocess.run([*SACREBLEU, "references", *options], cwd=tmp_path, capture_output=True, check=True)
    wanted = json.loads(run.stdout)
    p_value = USUAL.paired_bootstrap(HYPOTHESES, other, REFERENCES)
    assert 0 < p_value < 0.5
    assert p_value == pytest.approx(wanted[1]["BLEU"]["p_value"], abs=1e-3)


def test_a_system_does_not_differ_from_itself_and_does_from_nothing() -> None:
    assert USUAL.paired_bootstrap(HYPOTHESES, HYPOTHESES, REFERENCES) == 1
    assert USUAL.paired_bootstrap(HYPOTHESES, [""] * len(REFERENCES), REFERENCES) < 0.01


def test_systems_of_equal_bleu_do_not_differ() -> None:
    short = [f"{text.split()[0]}." for text in REFERENCES]  # two tokens each, so that all score 0
    assert USUAL.paired_bootstrap(short, [text[::-1] for text in short], short) == 1
    twice = REFERENCES * 2
    one, other = HYPOTHESES + REFERENCES, REFERENCES + HYPOTHESES  # the same sentences, in another half
    assert one != other
    assert USUAL.paired_bootstrap(one, other, twice) == 1
