"""The search of a batch of sentences with a model: which step function, and beam search or sampling."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from seq2seq.decoding.beam_search import Candidates, Step, beam_search
from seq2seq.decoding.constraints import start_constraints, with_constraints
from seq2seq.decoding.diverse_beams import diverse_beam_search
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.greedy_search import greedy_search
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.prefix import start_prefixes, with_prefixes
from seq2seq.decoding.sampling import Distribution, sample, uniform_numbers
from seq2seq.decoding.search_model import next_token
from seq2seq.nn.model import Model
from seq2seq.text.batches import batch_sentences
from seq2seq.text.tokenizer import BOS, EOS


@torch.inference_mode()
def search(
    model: Model | Ensemble,
    device: torch.device,
    options: SearchOptions,
    sources: Sequence[Sequence[int]],
    prefixes: Sequence[Sequence[int]],
    *,
    limits: Sequence[int],
    observe: Callable[[Candidates], object] | None = None,
) -> list[list[Hypothesis]]:
    """The `n_best` best hypotheses of each source by score, best first; all `size`, if they are ranked otherwise.

    Sources and prefixes are token ids without BOS and EOS.

    `limits` are the greatest lengths of hypotheses. `observe` is that of `beam_search`; samples and groups of beams
    have none.
    """
    source, mask = (tensor.to(device) for tensor in batch_sentences(sources))
    memory, state = model.encode(source, mask)
    first = torch.full((len(sources),), BOS, device=device)
    step: Step[Any, Any] = with_prefixes(next_token(model))
    start: Any = start_prefixes(state, prefixes, device)
    if options.min_length or options.no_repeat_ngram:
        start = start_constraints(start, first)
        step = with_constraints(step, min_length=options.min_length, no_repeat_ngram=options.no_repeat_ngram, end=EOS)
    lengths = [len(ids) for ids in sources]
    n_best = options.n_best if options.rank_by == "score" else options.size
    if options.method == "sample":
        assert observe is None, "samples have no candidates"
        uniforms = [
            uniform_numbers(options.seed, ids, prefix, samples=options.size, limit=limit)
            for ids, prefix, limit in zip(sources, prefixes, limits, strict=True)
        ]
        return sample(
            step,
            first,
            start,
            memory,
            distribution=Distribution(options.temperature, options.top_k, options.top_p),
            uniforms=uniforms,
            end=EOS,
            penalties=options.penalties,
            sources=lengths,
            n_best=n_best,
        )
    if options.groups > 1:
        assert observe is None, "groups of beams have no common tree"
        return diverse_beam_search(
            step,
            first,
            start,
            memory,
            limits=limits,
            end=EOS,
            size=options.size,
            groups=options.groups,
            diversity=options.diversity,
            penalties=options.penalties,
            sources=lengths,
            n_best=n_best,
        )
    if options.size == 1 and not options.coverage_penalty and observe is None:
        return greedy_search(step, first, start, memory, limits=limits, end=EOS, penalties=options.penalties)
    return beam_search(
        step,
        first,
        start,
        memory,
        limits=limits,
        end=EOS,
        size=options.size,
        penalties=options.penalties,
        sources=lengths,
        n_best=n_best,
        observe=observe,
    )
