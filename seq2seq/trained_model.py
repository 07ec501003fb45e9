"""From a checkpoint folder to a model that translates: every program that uses a checkpoint starts here."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seq2seq import build, checkpoint, config
from seq2seq.attention.interventions import INTERVENTIONS, InterventionOptions
from seq2seq.checkpoint import Checkpoint
from seq2seq.decoding.ensemble import Ensemble, Member
from seq2seq.decoding.interventions import AttentionTransfer, intervene
from seq2seq.decoding.translator import Translator
from seq2seq.nn.model import Model
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.text.normalization import NORMALIZATIONS
from seq2seq.text.tokenizer import Tokenizers


@dataclass(frozen=True)
class TrainedModel:
    """A checkpoint in memory, on its device, or an ensemble of several.

    `steps` are the training steps that the weights are from. `configuration` is that of the training run, of the first
    one in an ensemble; `search` and `precision` are what `translator` uses.
    """

    configuration: config.Train
    search: config.Search
    tokenizers: Tokenizers
    model: Model | Ensemble
    translator: Translator
    device: torch.device
    steps: tuple[int, ...]
    precision: str

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled for another process, which makes a translator of its own: packed 8-bit weights cannot be pickled."""
        values = (self.configuration, self.search, self.tokenizers, self.model, self.device, self.steps, self.precision)
        return _with_translator, values

    @property
    def step(self) -> int:
        """The step of the first model."""
        return self.steps[0]

    def attention_note(self) -> str | None:
        """What the attention of an ensemble is; None for one model."""
        if not isinstance(self.model, Ensemble) or len(self.steps) == 1:
            return None
        same = sum(self.model.shares_source)
        if same == len(self.steps):
            return f"attention is the mean of the {same} models"
        others = "the others split sources into other subwords"
        if same == 1:
            return f"attention is that of the first model: {others}"
        return f"attention is the mean of {same} of the {len(self.steps)} models: {others}"


def intervened(trained: TrainedModel, name: str, values: config.InterventionValues) -> TrainedModel:
    """The model with an intervention in its attention, by its name in the options of the programs.

    In an ensemble each model has the same intervention. Raises InputError where it is not possible with this model.
    """
    if name == "checkpoint":
        assert values.checkpoint is not None
        return _with_attention_of(checkpoint_folder(values.checkpoint), trained)
    options = InterventionOptions(**values.of(name))
    if name == "head":
        model = trained.model
        models = [member.model for member in model.members] if isinstance(model, Ensemble) else [model]
        heads = min(each.decoder.attention.score.heads for each in models)
        if heads == 1:
            raise InputError("attention.intervene=head is for attention=multihead, and this model's rule has one head")
        if options.head >= heads:
            raise InputError(f"attention.head={options.head}: the heads of this model are 0 to {heads - 1}")
    change = partial(intervene, intervention=INTERVENTIONS[name](options))
    translator = trained.translator.with_model(change(trained.translator.model))
    return replace(trained, model=change(trained.model), translator=translator)


def _with_attention_of(folder: Path, trained: TrainedModel) -> TrainedModel:
    """The model with the attention weights of the checkpoint in `folder`."""
    if isinstance(trained.model, Ensemble):
        raise InputError("attention.intervene=checkpoint is for one model, and this is an ensemble or has it already")
    donor = load_on_device(folder, trained.device)
    for side, own, other in zip(("source", "target"), trained.tokenizers, donor.tokenizers, strict=True):
        if own.model != other.model:
            raise InputError(
                f"attention.checkpoint={folder} has another {side} vocabulary, so its weights are for other subwords: "
                "give a model that was trained on the same text with the same dataset options"
            )

    def transfer(*models: Any) -> AttentionTransfer:
        return AttentionTransfer([Member(model, trained.tokenizers.source, str) for model in models])

    translator = trained.translator.with_model(transfer(trained.translator.model, donor.translator.model))
    return replace(trained, model=transfer(trained.model, donor.model), translator=translator)


def checkpoint_folder(path: str | os.PathLike[str]) -> Path:
    """The folder of a checkpoint: the path itself, or the best checkpoint of a run folder.

    Raises InputError where a run has none. What is wrong with another path shows when it is read.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"expected the path of a checkpoint, such as 'runs/NAME', found {path!r}")
    folder, text = Path(path), os.fspath(path)
    if not text or "\0" in text:
        raise InputError(f"{text!a} is no path of a checkpoint; give one, such as runs/NAME/checkpoints/best")
    run = RunFolder(folder)
    if not run.checkpoints.is_dir():
        return folder
    if checkpoint.exists(run.best):
        return run.best
    raise InputError(
        f"{folder} has no checkpoints/best, since no validation came yet: resume the run with resume={folder}, or give "
        "another checkpoint"
    )


def load_trained_model(
    folder: Path | Sequence[Path], *, device: config.Device, search: Mapping[str, Any] | None = None
) -> TrainedModel:
    """Sets up the device for this process, and loads one checkpoint or several (see `load_on_device`).

    A run folder stands for its best checkpoint (see `checkpoint_folder`).
    """
    folders = [checkpoint_folder(path) for path in ([folder] if isinstance(folder, Path) else folder)]
    set_up_device(device.threads, deterministic=device.deterministic)
    return load_on_device(folders, choose_device(device.kind), search=search, precision=device.precision)


def load_on_device(
    folder: Path | Sequence[Path],
    device: torch.device,
    *,
    search: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> TrainedModel:
    """Loads the checkpoint in `folder`, such as `runs/NAME/checkpoints/best`. It changes no setting of the process.

    Several folders make an ensemble (see `Ensemble`). `search` overrides values of the training run's search; None
    stands for "as trained". `precision` is that of `build.translator`.
    Raises InputError where the checkpoint is damaged or does not fit its configuration, and where a value of `search`
    is not possible, and where models have different languages or target vocabularies.
    """
    folders = (folder,) if isinstance(folder, Path) else tuple(folder)
    members, configurations, steps = [], [], []
    first: Tokenizers | None = None
    for i, path in enumerate(folders):
        if path in folders[:i]:
            raise InputError(f"checkpoint {path} is given twice: an ensemble has different models")
        loaded = checkpoint.load(path)
        configuration, model = build_trained(loaded, path)
        first = first or loaded.tokenizers
        if loaded.tokenizers.target.model != first.target.model:
            raise InputError(
                f"checkpoint {path} has another target vocabulary than {folders[0]}, so their probabilities have no "
                "mean: an ensemble needs models that were trained on the same target text with the same dataset options"
            )
        normalize = NORMALIZATIONS[configuration.dataset.normalization]
        members.append(Member(model.to(device), loaded.tokenizers.source, normalize))
        configurations.append(configuration)
        one, here = (f"{each.source} to {each.target}" for each in (configurations[0].dataset, configuration.dataset))
        if here != one:
            raise InputError(
                f"checkpoint {path} translates from {here}, and {folders[0]} from {one}: an ensemble has one direction"
            )
        steps.append(loaded.step)
    if first is None:
        raise InputError("no checkpoint is given: an ensemble has at least one")
    trained = configurations[0]
    together = Ensemble(members) if len(members) > 1 else members[0].model
    options = config.search_as_given(search or {}, trained.search)
    return _with_translator(trained, options, first, together, device, tuple(steps), precision)


def _with_translator(
    configuration: config.Train,
    search: config.Search,
    tokenizers: Tokenizers,
    model: Model | Ensemble,
    device: torch.device,
    steps: tuple[int, ...],
    precision: str,
) -> TrainedModel:
    normalization = configuration.dataset.normalization
    translator = build.translator(search, model, tokenizers, device, normalization=normalization, precision=precision)
    return TrainedModel(configuration, search, tokenizers, model, translator, device, steps, precision)


def build_trained(loaded: Checkpoint, folder: Path) -> tuple[config.Train, Model]:
    """The configuration and the model of a checkpoint, on the CPU. Raises what `trained_configuration` raises."""
    configuration = trained_configuration(loaded, folder)
    with _SkipInitialization():
        model = build.model(configuration, loaded.tokenizers, positions=loaded.positions).float()
    checkpoint.load_weights(model, loaded, folder)
    return configuration, model


def trained_configuration(loaded: Checkpoint, folder: Path) -> config.Train:
    """The validated configuration of a checkpoint; `folder` is for messages. Raises what `trained_outline` raises."""
    return trained_outline(loaded, folder)[0]


def trained_outline(loaded: Checkpoint, folder: Path) -> tuple[config.Train, Model]:
    """The validated configuration of a checkpoint, and its model without numbers; `folder` is for messages.

    Raises InputError where this version cannot use it or the weights do not fit it. The model is built on the "meta"
    device, so a configuration of impossible size is refused before it takes memory.
    """
    try:
        configuration = config.load(config.Train, loaded.configuration)
    except InputError as error:
        raise InputError(f"checkpoint {folder} has a configuration that this version cannot use: {error}") from None
    try:
        with torch.device("meta"), _SkipInitialization():
            model = build.model(configuration, loaded.tokenizers, positions=loaded.positions).float()
    except (RuntimeError, OverflowError, TypeError) as error:
        raise InputError(f"checkpoint {folder} describes a model of impossible size: {error}") from None
    checkpoint.check_weights(model, loaded, folder)
    return configuration, model


class _SkipInitialization(TorchFunctionMode):
    """Skips random initialization: the weights come from the checkpoint, or the model is on the "meta" device.

    On "meta", PyTorch would import 800 modules to initialize.
    """

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        options = options or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return options["tensor"]
        if function is torch.linalg.qr:
            return arguments[0], arguments[0]
        return arguments[0] if function in (Tensor.uniform_, Tensor.normal_) else function(*arguments, **options)
