"""One training run from start to finish: text, model, training, scores, `results.json`."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seq2seq import build, build_text, checkpoint, config
from seq2seq.checkpoint import Checkpoint
from seq2seq.checkpoint.state import State
from seq2seq.commands.fine_tuning import Source
from seq2seq.commands.pretrained_vectors import load_vectors
from seq2seq.commands.resume import restore
from seq2seq.commands.run_text import fingerprint, load_text, log_remarks
from seq2seq.config.loading import flat
from seq2seq.config.search import search_name
from seq2seq.evaluation.evaluator import Evaluator
from seq2seq.evaluation.metrics import Metrics, choose_tokenizer
from seq2seq.evaluation.teacher_forcing import References, format_perplexity
from seq2seq.evaluation.tokenized_text import tokenization_warning
from seq2seq.nn import mistakes
from seq2seq.nn.model import Model
from seq2seq.reporting.tensorboard import Board, NullBoard
from seq2seq.runtime import distributed
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import write_json, write_text
from seq2seq.runtime.products import check_bfloat16
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.runtime.stopwatch import Stopwatch
from seq2seq.text.batches import LENGTH_MULTIPLE
from seq2seq.text.store import Prepared
from seq2seq.training.average import WeightAverage
from seq2seq.training.freezing import freeze, freezing_remarks
from seq2seq.training.loop import steps
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.progress import Bar, logging_redirect_tqdm
from seq2seq.training.run import Run
from seq2seq.training.validation import Validator

log = logging.getLogger(__name__)


def check_unused(folder: Path) -> None:
    """Raises InputError where the folder holds a run already."""
    if RunFolder(folder).holds_run():
        raise InputError(
            f"{folder} already holds a run: name another folder with hydra.run.dir=FOLDER, or resume the run with "
            f"resume={folder}"
        )


def train(
    configuration: config.Train,
    folder: Path,
    resumed: Checkpoint | None = None,
    source: Source | None = None,
    *,
    bar: Bar | None = None,
) -> dict[str, Any]:
    """Trains a model, scores the checkpoint with the best validation, and writes `results.json`. Returns its content.

    Without a test split there are no scores in `test` and no file of translations.

    `resumed` is the last checkpoint of an interrupted run in this folder. `source` is the checkpoint that a new run
    starts from, with `init`. `bar` makes the progress bar. The caller
    holds the lock of the folder (see `seq2seq.runtime.lock`).
    """
    run_folder = RunFolder(folder)
    set_up_device(configuration.device.threads, deterministic=configuration.device.deterministic)
    device = choose_device(configuration.device.kind)
    if configuration.device.precision == "bfloat16":
        check_bfloat16(device)
    watch = Stopwatch()
    with watch.part("text"):
        text = load_text(configuration, resumed, source, folder)
    prepared, tokenizers, validation = text.prepared, text.prepared.tokenizers, text.scored["validation"]
    if distributed.is_rank0():
        log_remarks(configuration, text, source)
    state = State(
        text=fingerprint(text),
        splits=text.fingerprints,
        processes=distributed.world_size(),
        length_multiple=LENGTH_MULTIPLE if device.type == "cuda" else 1,
        init=None if source is None else source.origin,
    )
    targets = [pair.target for pair in validation.pairs]
    metrics = Metrics(choose_tokenizer(configuration.evaluation.tokenize, text.corpus.target, targets))
    options = configuration.training
    torch.manual_seed(options.seed)
    model = build.model(configuration, tokenizers, positions=text.positions).to(device)
    if source is not None:
        checkpoint.load_weights(model, source.checkpoint, source.folder)
    elif resumed is None and distributed.is_rank0():  # the other processes get the weights of the first
        for line in load_vectors(model, configuration, prepared):
            log.info("%s", line)
    freeze(model, options.freeze)
    log.info("run folder %s", folder)
    for line in mistakes.remarks(configuration.mistake):
        log.warning("%s", line)
    _log_sizes(prepared, model, device)
    for line in freezing_remarks(model, options.freeze):
        log.info("%s", line)
    distributed.broadcast_([parameter.detach() for parameter in model.parameters()])
    _seed_rank(options.seed)
    optimizer = make_optimizer(model, betas=options.betas, weight_decay=options.weight_decay)
    average = None if options.average is None else WeightAverage(model, options.average)
    resample = build_text.subword_sampler(
        configuration, text.corpus.train, prepared, longest_source=model.longest_source
    )
    objective, schedule = partial(build.objective, configuration), partial(build.schedule, options)
    run = Run(configuration, prepared, model, optimizer, objective, schedule, device, average, resample)
    translator = partial(
        build.translator,
        built=model,
        tokenizers=tokenizers,
        device=device,
        normalization=configuration.dataset.normalization,
    )
    greedy = partial(translator, _greedy(configuration.search))
    references = References(validation, tokenizers, longest=greedy().longest)
    if not references.batches:
        raise InputError(
            f"validation: all {len(validation.pairs)} pairs are too long to read; raise search.longest_source, or "
            "dataset.longest for a rule that scores positions"
        )
    start = restore(run, folder, resumed, state)
    assert start.training is not None
    origin = start.training.state.init

    with _open_board(run_folder.tensorboard, resumed) as board:
        validator = Validator(model, references, validation, greedy, metrics, options.metric, board)
        # The bar of a notebook needs no redirection, which prints the log on the error stream.
        redirected = logging_redirect_tqdm() if bar is None else nullcontext()
        with redirected, watch.part("training"):
            timing = steps(run, start, validator, folder, board, watch, bar=bar)
        best = distributed.run_on_rank0_and_broadcast(lambda: checkpoint.load(run_folder.best))
        checkpoint.load_weights(model, best, folder)
        log.info("scores of the checkpoint of step %d, the best by validation %s", best.step, validator.metric)
        results: dict[str, Any] = {
            **({} if origin is None else {"init": origin.model_dump()}),
            "parameters": _count_parameters(model),
            "best": {"step": best.step, "metric": validator.metric, **best.scores},
            "train": timing,
        }
        evaluator = Evaluator(model, translator(configuration.search), metrics, configuration.dataset.target)
        for name, split in text.scored.items():
            with watch.part("scoring"):
                results[name], hypotheses = evaluator.evaluate(split)
            log.info("%s, %s  %s", name, search_name(configuration.search), _score_line(results[name]))
        # From here on `name`, `split` and `hypotheses` are the test split's, or the validation split's without one.
        if warning := tokenization_warning(name, [pair.target for pair in split.pairs], hypotheses.texts):
            log.warning(warning)
        if text.corpus.test is None:
            log.info("test  no scores, since there is no test split (dataset.test=null)")
        results["decoding"] = hypotheses.speed()
        if text.corpus.challenges:
            with watch.part("scoring"):
                results["challenges"] = evaluator.challenges(text.corpus.challenges)
        if not distributed.is_rank0():
            return results
        if text.corpus.test is not None:
            write_text(run_folder.translations(text.corpus.target), hypotheses.lines())
        board.hyperparameters(flat(configuration.model_dump(mode="json")), _final_scores(results))
    write_json(run_folder.results, results)  # written last: a run folder with this file is a finished run
    log.info("%s", watch.summary())
    log.info("results in %s", run_folder.results)
    return results


def _greedy(search: config.Search) -> config.Search:
    """Greedy search, for validation during training, with as many hypotheses at a time as the search of the test."""
    beam = {"method": "beam", "temperature": 1.0, "top_k": 0, "top_p": 1.0, "rank_by": "score", "groups": 1}
    changes = {"size": 1, "n_best": 1, "too_long": "refuse", "batch": search.size * search.batch}
    return search.model_copy(update=beam | changes)


def _open_board(folder: Path, resumed: Checkpoint | None) -> Board:
    """TensorBoard's events; a resumed run's events after its checkpoint are removed, so that curves continue there."""
    if not distributed.is_rank0():
        return NullBoard()
    if resumed is None or resumed.training is None:
        return Board(folder)
    return Board(folder, purge_from=resumed.step + 1, sizes=resumed.training.state.events)


def _seed_rank(seed: int) -> None:
    """Gives each process except the first its own random numbers, so that dropout differs."""
    if (rank := distributed.rank()) > 0:
        torch.manual_seed(int(np.random.SeedSequence([seed, rank]).generate_state(1, np.uint64)[0]))


def _final_scores(results: Mapping[str, Any]) -> dict[str, float]:
    """The scores that TensorBoard shows beside the hyper-parameters, such as `test_bleu`."""
    return {
        f"{split}_{metric}": results[split][metric]
        for split in ("validation", "test")
        for metric in ("bleu", "chrf", "ter", "perplexity", "exact", "aer")
        if metric in results.get(split, {})
    }


def _score_line(scores: Mapping[str, Any]) -> str:
    """The scores of a split in one line of the log."""
    aer = f"alignment error {scores['aer']:.3f}  " if "aer" in scores else ""
    return (
        f"BLEU {scores['bleu']:.2f}  chrF {scores['chrf']:.2f}  TER {scores['ter']:.2f}  "
        f"perplexity {format_perplexity(scores['perplexity'])}  exact {scores['exact']:.3f}  {aer}{scores['signature']}"
    )


def _log_sizes(prepared: Prepared, model: Model, device: torch.device) -> None:
    """Logs the sizes of the training split, the vocabulary and the model."""
    store, tokenizers = prepared.store, prepared.tokenizers
    log.info("%s training pairs; left out: %d empty, %d too long", f"{len(store.source):,}", *store.filtered)
    log.info(
        "vocabulary %s, %s parameters, on %s",
        f"{len(tokenizers.source):,} joint"
        if tokenizers.joint
        else f"{len(tokenizers.source):,} and {len(tokenizers.target):,}",
        f"{_count_parameters(model):,}",
        device,
    )


def _count_parameters(model: Model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
