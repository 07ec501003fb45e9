"""The objects of a training run: its steps on a device, and its checkpoints."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch

from seq2seq import config
from seq2seq.checkpoint import Checkpoint, Training
from seq2seq.checkpoint.state import State
from seq2seq.nn.model import Model
from seq2seq.text.epochs import Epochs
from seq2seq.text.store import Prepared, Store
from seq2seq.training.average import WeightAverage
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective
from seq2seq.training.optimizer import tensors_to_resume
from seq2seq.training.static_step import StaticStep, collate_static, static_updates
from seq2seq.training.step import Update, updates


class Run(NamedTuple):
    """The objects of a training run.

    `objective` is made from the number of steps of an epoch, `schedule` from that of the run, and `resample` makes the
    encoded training corpus of an epoch (see `seq2seq.text.epochs.Epochs`).
    """

    configuration: config.Train
    prepared: Prepared
    model: Model
    optimizer: torch.optim.Optimizer
    objective: Callable[[int], Objective]
    schedule: Callable[[int], Schedule]
    device: torch.device
    average: WeightAverage | None = None
    resample: Callable[[int], Store] | None = None

    def checkpoint(self, step: int, state: State, scores: dict[str, float]) -> Checkpoint:
        """A checkpoint of the current state. It shares its tensors with the run: later steps change them."""
        tensors = tensors_to_resume(self.model, self.optimizer)
        return Checkpoint(
            configuration=self.configuration.model_dump(mode="json"),
            tokenizers=self.prepared.tokenizers,
            weights=dict(self.model.named_parameters()),
            positions=self.model.positions,
            step=step,
            scores=scores,
            training=Training(tensors | ({} if self.average is None else self.average.tensors()), state),
        )

    def updates(self, epochs: Epochs, *, start: int, end: int, schedule: Schedule) -> Iterator[Update]:
        """The optimiser steps `start + 1` to `end`, on the device of the run."""
        options, precision = self.configuration.training, self.configuration.device.precision
        batch, objective = options.batch, self.objective(epochs.steps_per_epoch)
        if self.device.type == "cpu":
            return updates(
                self.model,
                self.optimizer,
                epochs.steps(end, start=start),
                objective=objective,
                schedule=schedule,
                clip=options.clip,
                precision=precision,
                start=start,
            )
        step = StaticStep(
            self.model,
            self.optimizer,
            objective=objective,
            clip=options.clip,
            precision=precision,
            graphs=self.configuration.device.graphs,
        )
        collate = partial(collate_static, size=batch.size, unit=batch.unit, multiple=epochs.multiple, pin=True)
        return static_updates(step, epochs.collated(collate, end, start=start), schedule=schedule, start=start)
