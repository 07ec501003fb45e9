"""The configuration: every YAML file loads and builds a model, no value is set twice, errors name the full key."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from seq2seq import build
from seq2seq.attention.distributions import DISTRIBUTIONS
from seq2seq.attention.scores import SCORES
from seq2seq.config import (
    DATASETS,
    Evaluate,
    Score,
    Search,
    Section,
    Train,
    Translate,
    Tsv,
    keys,
    load,
    near,
    search_as_given,
)
from seq2seq.nn.decoder import DECODERS
from seq2seq.runtime.errors import InputError
from seq2seq.text.sources.files import AlignedFiles
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.tokenizer_kinds import train_tokenizers
from tests.support.programs import CONFIGS, choices

GROUPS = ("attention", "dataset", "decoder", "device", "encoder", "experiment", "model", "search")
FILES = [(group, name) for group in GROUPS for name in choices(group) if name != "as_trained"]
COMPLETE = ("grammar", "multi30k")
"""The datasets without an option that has to be given."""
NEEDED = [
    f"dataset.{key}=there" for key in ("source", "target", "train", "validation", "test")
]  # options without a value


def composed(program: str, *overrides: str) -> dict[str, Any]:
    """The configuration that Hydra composes."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        values = OmegaConf.to_container(compose(program, overrides=list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


TRAIN = composed("train")
SELF: dict[str, Any] = composed("train", "encoder=self_attention")["encoder"]["attention"]


@pytest.fixture(scope="module")
def tokenizers(corpus: Path) -> Tokenizers:
    train = AlignedFiles(corpus / "train.de", corpus / "train.en", name="train")
    return train_tokenizers(train, vocabulary_size=300, kind="unigram", joint=True)


def test_groups_are_those_in_the_folder() -> None:
    assert sorted(path.name for path in CONFIGS.iterdir() if path.is_dir()) == sorted(GROUPS)
    assert all(choices(group) for group in GROUPS)


@pytest.mark.slow
@pytest.mark.parametrize(("group", "name"), FILES)
def test_every_file_composes_and_builds_a_model(group: str, name: str, tokenizers: Tokenizers) -> None:
    needed = NEEDED if group == "dataset" and name not in COMPLETE else []
    configuration = load(Train, composed("train", f"{group}={name}", *needed))
    model = build.model(configuration, tokenizers, positions=17)
    assert sum(parameter.numel() for parameter in model.parameters()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "distribution"),
    [
        (attention, distribution)
        for attention in choices("attention")
        for distribution in sorted(DISTRIBUTIONS)
        if not (SCORES[attention].is_uniform and DISTRIBUTIONS[distribution].is_hard)  # refused: a test below
    ],
)
def test_every_rule_goes_with_every_distribution_in_decoder_and_encoder(
    attention: str, distribution: str, tokenizers: Tokenizers
) -> None:
    decoder = [f"attention={attention}", f"attention.distribution={distribution}"]
    encoder = ["encoder=self_attention", f"encoder.attention.score={attention}"]
    if SCORES[attention].follows_history:  # refused in the encoder: a test below
        encoder[1:] = ["encoder.attention.score=additive"]
    if not DISTRIBUTIONS[distribution].follows_target:
        encoder.append(f"encoder.attention.distribution={distribution}")
    configuration = load(Train, composed("train", "model=tiny", *decoder, *encoder))
    model = build.model(configuration, tokenizers, positions=17)
    assert type(model.decoder.attention.score) is SCORES[attention]
    assert type(model.decoder.attention.distribution) is DISTRIBUTIONS[distribution]
    assert model.encoder.output_size == 64
    assert (model.longest_source == 17) == SCORES[attention].location_based


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "decoder"),
    [
        (attention, decoder)
        for attention in choices("attention")
        for decoder in choices("decoder")
        if not (decoder == "luong" and SCORES[attention].follows_history)  # refused: a test below
    ],
)
def test_every_rule_goes_with_every_decoder(attention: str, decoder: str, tokenizers: Tokenizers) -> None:
    configuration = load(Train, composed("train", f"attention={attention}", f"decoder={decoder}", "model=tiny"))
    assert (configuration.attention.score, configuration.decoder.place) == (attention, decoder)
    build.model(configuration, tokenizers, positions=17)


def test_a_temperature_is_for_softmax_and_hard() -> None:
    for distribution in ("softmax", "hard"):
        load(Train, composed("train", f"attention.distribution={distribution}", "attention.temperature=2"))
    with pytest.raises(InputError, match=r"temperature=2.0 is for distribution=softmax and hard, not .*=sparsemax"):
        load(Train, composed("train", "attention.distribution=sparsemax", "attention.temperature=2"))


@pytest.mark.parametrize("attention", ["coverage", "location"])
def test_rules_that_read_earlier_weights_need_a_loop(attention: str) -> None:
    with pytest.raises(InputError, match=rf"attention.score={attention} .* decoder=luong .* set decoder=luong_input"):
        load(Train, composed("train", f"attention={attention}", "decoder=luong"))
    encoder = ["encoder=self_attention", f"encoder.attention.score={attention}"]
    with pytest.raises(InputError, match=rf"encoder.attention.score={attention} .* choose another rule"):
        load(Train, composed("train", *encoder))


def test_what_is_in_the_tables_has_a_file_of_its_name() -> None:
    assert choices("attention") == sorted(SCORES)
    assert choices("decoder") == sorted(DECODERS)
    assert choices("dataset") == sorted(DATASETS)
    for name in DATASETS:
        assert composed("train", f"dataset={name}", *([] if name in COMPLETE else NEEDED))["dataset"]["name"] == name
    for name in choices("device"):
        assert composed("train", f"device={name}")["device"]["kind"] == name


def sections(kind: Any) -> set[type[Section]]:
    own = {kind} if isinstance(kind, type) and issubclass(kind, Section) else set()
    members = [field.annotation for field in kind.model_fields.values()] if own else getattr(kind, "__args__", ())
    return own.union(*map(sections, members))


def test_values_stand_in_yaml_alone() -> None:
    kinds = sections(Train) | sections(Evaluate) | sections(Translate)
    assert {Train, Evaluate, Translate, Search} < kinds
    for section in kinds:
        assert all(field.is_required() for field in section.model_fields.values()), section
    assert len(keys(Train)) > 40


@pytest.mark.parametrize(("program", "kind"), [("evaluate", Evaluate), ("translate", Translate)])
def test_the_other_programs_compose(program: str, kind: type[Section]) -> None:
    values = composed(program, "checkpoint=runs/a/checkpoints/best")
    assert load(kind, values)
    assert set(values["search"]) == set(Search.model_fields)
    assert set(values["search"].values()) == {None}


def test_a_configuration_travels_as_json() -> None:
    configuration = load(Train, TRAIN)
    assert load(Train, json.loads(json.dumps(configuration.model_dump(mode="json")))) == configuration


def test_a_search_is_as_trained_where_nothing_else_is_asked() -> None:
    trained = load(Search, composed("train", "search=beam")["search"])
    assert search_as_given(dict.fromkeys(Search.model_fields), trained) == trained
    assert search_as_given({"size": 3, "n_best": None}, trained) == trained.model_copy(update={"size": 3})
    with pytest.raises(InputError, match=r"search\.size: .*found 0"):
        search_as_given({"size": 0}, trained)


# --- what is refused --------------------------------------------------------------------------------------------------


def with_value(key: str, value: object) -> dict[str, Any]:
    """The default configuration with one value changed."""
    values = copy.deepcopy(TRAIN)
    *path, last = key.split(".")
    section = values
    for name in path:
        section = section[name]
    section[last] = value
    return values


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("training.epochs", "x", ["integer", 'found "x"']),
        ("training.epochs", 0, ["greater than 0", "found 0"]),
        ("training.epochs", 1.0, ["integer", "found 1.0"]),
        ("training.seed", -1, ["0", "found -1"]),
        ("training.seed", 2**64, ["less than"]),
        ("training.learning_rate", float("nan"), ["finite"]),
        ("training.validate_every", "epok", ["integer", "'epoch'", 'found "epok"']),
        ("training.betas", [0.9], ["training.betas"]),
        ("training.batch", 7, ["training.batch.size", "found 7"]),
        ("training.metric", "blue", ["no such choice 'blue'", "did you mean bleu?"]),
        ("model.dropout", 1, ["less than 1"]),
        ("model.dropout", True, ["number", "found true"]),
        ("model.dropuot", 0.1, ["no such option", "did you mean model.dropout?"]),
        (
            "dataset.name",
            "grammer",
            ["no such dataset", "files, gettext, grammar, huggingface, jsonl, multi30k"],
        ),
        ("dataset.target", False, ["found the boolean false and not text", '"TEXT" in YAML', "'KEY=\"TEXT\"'"]),
        ("dataset.cache", 1.1, ["found the number 1.1 and not text"]),
        ("dataset.source", "a b", ['found "a b"']),
        ("dataset.normalization", "nfd", ["no such choice 'nfd'", "nfc"]),
        ("dataset.character_coverage", 0.5, ["0.98"]),
        ("dataset.symbols", ["a", "<b>", "a"], ["the symbol a is listed twice"]),
        ("dataset.symbols", [""], ["one character or more"]),
        ("dataset.symbols", ["a b"], ["'a b'", "neither space"]),
        ("dataset.symbols", ["a\nb"], ["neither space"]),
        ("dataset.symbols", ["\u2581"], ["U+2581"]),
        ("dataset.symbols", ["</s>"], ["SentencePiece's own pieces"]),
        ("dataset.symbols", ["<0x0A>"], ["SentencePiece's own pieces"]),
        ("dataset.symbols", [True], ["found the boolean true and not text"]),
        ("dataset.symbols", "<b>", ["expected a list, dataset.symbols=[<b>]"]),
        ("dataset.joint", "yes", ["boolean", 'found "yes"']),
        ("dataset.vocabulary", 7, ["greater than or equal to 8"]),
        ("dataset.target", "../../x", ['found "../../x"']),
        ("dataset", None, ["dataset.source", "found null"]),
        ("attention.score", "evil", ["no such choice 'evil'", "concat, cosine, coverage, dot"]),
        ("attention.score", "__class__", ["no such choice"]),
        ("attention.distribution", "softmux", ["no such choice 'softmux'", "did you mean softmax"]),
        ("attention.heads", 0, ["greater than 0", "found 0"]),
        ("encoder.layers", 0, ["greater than 0", "found 0"]),
        ("decoder.layers", 0, ["greater than 0", "found 0"]),
        ("encoder.attention", 7, ["encoder.attention.score", "found 7"]),
    ],
)
def test_a_value_that_will_not_do_is_named_with_its_full_key(key: str, value: object, words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        load(Train, with_value(key, value))
    message = str(raised.value)
    assert message.startswith(f"{key}: ")
    assert all(word in message for word in words), message
    assert "pydantic" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset.joint": False}, ["model.tie=all", "dataset.joint=true"]),
        ({"training.r_drop": 5.0}, ["training.r_drop=5.0", "nothing is dropped", "model.dropout"]),
        ({"training.sample_subwords.source": 1.5}, ["training.sample_subwords.source", "1.5"]),
        ({"training.sample_subwords.target": 0.0}, ["training.sample_subwords.target", "greater than 0"]),
        ({"search.n_best": 6}, ["search.n_best=6", "search.size=5"]),
        ({"attention.score": "dot", "model.decoder_hidden": 99}, ["model.decoder_hidden", "192", "not 99"]),
        ({"dataset.normalization": "nfkc", "dataset.symbols": ["\ufb01"]}, ["dataset.symbols", "nfkc", '"fi"']),
        ({"dataset.source": "fr"}, ["dataset.source=de dataset.target=en"]),
        ({"attention.score": "uniform", "attention.distribution": "hard"}, ["score=uniform", "all are equal"]),
        ({"attention.score": "multihead", "attention.heads": 7}, ["attention.heads=7", "192 and 192"]),
        (
            {"encoder.attention": SELF | {"distribution": "local_m"}},
            ["encoder.attention.distribution=local_m", "local_p"],
        ),
        ({"encoder.attention": SELF | {"score": "multihead", "heads": 5}}, ["encoder.attention.heads=5", "192"]),
    ],
)
def test_values_that_do_not_go_together(changes: dict[str, object], words: list[str]) -> None:
    values = TRAIN
    for key, value in changes.items():
        changed = with_value(key, value)
        section = key.split(".")[0]
        values = {**values, section: {**values[section], key.split(".")[1]: changed[section][key.split(".")[1]]}}
    with pytest.raises(InputError) as raised:
        load(Train, values)
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("kind", "key", "value", "words"),
    [
        ("files", "train", [], ["at least one value"]),
        ("files", "train", ["a", ""], ["empty; give a path"]),
        ("tsv", "train", [True], ["found the boolean true and not text"]),
        ("tsv", "train", None, ["string", "found null"]),
        ("tsv", "columns", [2], ["expected 2 values, found [2]"]),
        ("tsv", "columns", [0, 2], ["greater than or equal to 1"]),
        ("tsv", "quoting", "cvs", ["did you mean csv?"]),
    ],
)
def test_values_of_text_in_files(kind: str, key: str, value: object, words: list[str]) -> None:
    values = composed("train", f"dataset={kind}", *NEEDED)
    values["dataset"][key] = value
    with pytest.raises(InputError) as raised:
        load(Train, values)
    assert str(raised.value).startswith(f"dataset.{key}: ")
    assert all(word in str(raised.value) for word in words), raised.value


def test_numbers_are_the_text_that_was_typed() -> None:
    values = composed("train", "dataset=tsv", *NEEDED, "dataset.train=[2024,a]", "dataset.source=nan", "dataset.test=7")
    dataset = load(Train, values).dataset
    assert isinstance(dataset, Tsv)
    assert (dataset.train, dataset.source, dataset.test) == ((Path("2024"), Path("a")), "nan", Path("7"))
    assert load(Train, composed("train", "dataset=tsv", *NEEDED)).dataset.train == Path("there")  # type: ignore[union-attr]


def test_a_missing_value_is_named() -> None:
    values = copy.deepcopy(TRAIN)
    del values["training"]["seed"]
    with pytest.raises(InputError, match=r"training\.seed: not set; give training\.seed=VALUE"):
        load(Train, values)


def test_many_mistakes_are_not_all_told_at_once() -> None:
    with pytest.raises(InputError, match=r"; and \d+ more$") as raised:
        load(Train, {})
    assert str(raised.value).count(";") <= 7


def test_a_configuration_cannot_be_changed() -> None:
    configuration = load(Train, TRAIN)
    with pytest.raises(ValueError, match="frozen"):
        configuration.training.seed = 2  # type: ignore[misc]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = sorted(
    key
    for key in keys(Train)
    if not key.startswith("encoder.attention.")  # null in the default
    and (key.count(".") == 0 or key.split(".")[1] in TRAIN[key.split(".")[0]])
)


@pytest.mark.parametrize("place", ["bahdanau", "conditional", "luong_input_feeding"])
def test_only_luong_has_layers(place: str) -> None:
    load(Train, with_value("decoder", {"place": "luong", "layers": 2}))
    with pytest.raises(InputError, match=r"decoder\.layers=2 is for decoder=luong, since .*: leave it out"):
        load(Train, with_value("decoder", {"place": place, "layers": 2}))


def test_training_refuses_8_bit_weights() -> None:
    with pytest.raises(InputError, match=r"device\.precision=int8 is for search"):
        load(Train, with_value("device.precision", "int8"))


@pytest.mark.parametrize(("program", "kind"), [("evaluate", Evaluate), ("translate", Translate), ("score", Score)])
def test_search_refuses_the_rounding_of_training(program: str, kind: type[Evaluate | Translate | Score]) -> None:
    values = composed(program, "checkpoint=runs/one", "device.precision=bfloat16")
    with pytest.raises(InputError, match=r"device\.precision=bfloat16 is for training: search with auto"):
        load(kind, values)


@pytest.mark.slow
@given(key=st.sampled_from(PLACES), value=VALUES)
def test_whatever_stands_there_is_taken_or_refused_in_a_sentence(key: str, value: object) -> None:
    with suppress(InputError):
        assert load(Train, with_value(key, value))


@pytest.mark.parametrize(
    ("word", "suggestion"),
    [
        ("training.epoch", "did you mean training.epochs?"),
        ("epochs", "did you mean training.epochs or training.guide.epochs?"),
        ("target", "did you mean dataset.target or model.embeddings.target or training.sample_subwords.target?"),
        ("seed", "did you mean dataset.seed or search.seed or training.seed?"),
        ("trianing.epochs", "did you mean training.epochs?"),
        ("atention", "did you mean attention?"),
        ("search.sise", "did you mean search.size?"),
        (
            "device.xyz",
            "choose one of device.deterministic, device.graphs, device.kind, device.precision, device.threads",
        ),
        (
            "lr",
            "choose one of attention, dataset, decoder, device, encoder, evaluation, init, mistake, model, search, "
            "training",
        ),
    ],
)
def test_near(word: str, suggestion: str) -> None:
    assert near(word, keys(Train)) == suggestion


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["attention=uniform"], ["attention.score=uniform", "choose another rule"]),
        (["attention.distribution=hard", "attention.estimator=reinforce"], ["attention.distribution=hard", "gradient"]),
        (["attention.distribution=hard"], ["infinite", "training.guide.loss=squared_error"]),
        (["attention.distribution=sparsemax"], ["attention.distribution=sparsemax", "squared_error"]),
        (["attention.distribution=local_p"], ["attention.distribution=local_p", "squared_error"]),
        (["dataset=multi30k"], ["training.guide.alignments=gold", "dataset=multi30k", "Pharaoh"]),
        (["training.sample_subwords.source=0.1"], ["training.guide.alignments", "training.sample_subwords"]),
        (["training.guide.loss=entropy"], ["did you mean cross_entropy?"]),
        (["training.guide.weight=0"], ["training.guide.weight", "greater than 0"]),
    ],
)
def test_attention_that_cannot_be_guided_is_refused(options: list[str], words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        load(Train, composed("train", "training.guide.alignments=gold", *options))
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize("distribution", sorted({*DISTRIBUTIONS} - {"softmax"}))
def test_squared_error_guides_weights_of_zero(distribution: str) -> None:
    options = [f"attention.distribution={distribution}", "training.guide.loss=squared_error"]
    load(Train, composed("train", "training.guide.alignments=[one.align,two.align]", *options))
    load(Train, composed("train", *options[:1], "training.guide.loss=cross_entropy"))  # not guided
