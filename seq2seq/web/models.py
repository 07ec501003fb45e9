"""A model that answers requests: its queue, and its answers."""

from collections.abc import Sequence
from functools import partial

from seq2seq.decoding.prefix import prefix_ids
from seq2seq.decoding.translator import TooLong
from seq2seq.library.attention_matrix import source_ids
from seq2seq.library.inputs import text_line
from seq2seq.nn.model import Model
from seq2seq.trained_model import TrainedModel
from seq2seq.web.batching import Batcher, Sentence, Workers
from seq2seq.web.inference import Inference
from seq2seq.web.messages import AttendRequest, ModelInfo, Options, Request, TranslateAnswer, TranslateRequest
from seq2seq.web.refusal import Refusal, refused

BATCH_CHARACTERS = 20_000
"""Of a batch with several sentences. It bounds how long a request waits for one that came before it."""


class ServedModel:
    """A model that answers requests. The threads of the workers call its inference."""

    def __init__(self, name: str, trained: TrainedModel, inference: Inference, workers: Workers) -> None:
        self.name = name
        self._trained, self._search, self._inference = trained, trained.search, inference
        self._batcher = Batcher(workers, sentences=trained.search.batch, characters=BATCH_CHARACTERS)

    def info(self) -> ModelInfo:
        """The model in numbers and names."""
        options = self._trained.configuration
        return ModelInfo(
            name=self.name,
            source=options.dataset.source,
            target=options.dataset.target,
            attention=options.attention.score,
            distribution=options.attention.distribution,
            decoder=options.decoder.place,
            encoder="gru" if options.encoder.attention is None else "self_attention",
            step=self._trained.step,
            parameters=sum(parameter.numel() for parameter in self._trained.model.parameters()),
            beam_size=self._search.size,
            length_penalty=self._search.length_penalty,
            longest_source=self._trained.translator.longest,
            heads=self._heads,
        )

    async def translate(self, request: TranslateRequest) -> TranslateAnswer:
        """The translations of the texts, in batches with those of other requests that have the same options."""
        prefixes = [None] * len(request.texts) if request.prefixes is None else request.prefixes
        if len(prefixes) != len(request.texts):
            message = f"prefixes: found {len(prefixes)} for {len(request.texts)} texts; give one or null for each text"
            raise Refusal(422, message, field="prefixes")
        sentences = [
            Sentence(text_line(text, f"texts.{i}"), self._prefix(prefix, f"prefixes.{i}"))
            for i, (text, prefix) in enumerate(zip(request.texts, prefixes, strict=True))
        ]
        options = self._options(request)
        results = await self._batcher.submit(options, partial(self._inference.translate, options), sentences)
        for i, result in enumerate(results):
            if isinstance(result, TooLong):
                raise Refusal(422, f"texts.{i}: {result}", field=f"texts.{i}")
        return TranslateAnswer(model=self.name, translations=results)

    async def attend(self, request: AttendRequest) -> bytes:
        """One translation with all that is known of it, as the JSON of an `AttendAnswer`."""
        if request.target is not None and (request.prefix or request.tree):
            field = "tree" if request.tree else "prefix"
            raise Refusal(422, f"{field}: a target is given, so there is no search; leave out one of them", field=field)
        self._prefix(request.prefix, "prefix")
        self._check_change(request)
        work = partial(self._attend, request, self._options(request))
        (answer,) = await self._batcher.submit(None, work, [Sentence(request.source)])
        return bytes(answer)

    @property
    def _heads(self) -> int:
        model = self._trained.model
        assert isinstance(model, Model), "a server has no ensembles"
        return model.decoder.attention.score.heads

    def _check_change(self, request: AttendRequest) -> None:
        """Raises Refusal where the changed attention does not fit the model or the source."""
        head, heads = None if request.intervene is None else request.intervene.head, self._heads
        if head is not None and (heads == 1 or head >= heads):
            message = "one head, which is no choice" if heads == 1 else f"the heads 0 to {heads - 1}, found {head}"
            raise Refusal(422, f"intervene.head: this model has {message}", field="intervene.head")
        if not request.attention:
            return
        columns = len(source_ids(self._trained.translator, text_line(request.source, "source"))) + 1
        for i, row in enumerate(request.attention):
            if row is not None and len(row) != columns:
                message = f"found {len(row)} weights, expected {columns}, one for each source subword and the end"
                raise Refusal(422, f"attention.{i}: {message}", field=f"attention.{i}")

    def _options(self, request: Request) -> Options:
        size = request.beam_size or self._search.size
        n_best = request.n_best or min(self._search.n_best, size)
        if n_best > size:
            raise Refusal(422, f"n_best: found {n_best}, more than the beam size of {size}", field="n_best")
        penalty = self._search.length_penalty if request.length_penalty is None else request.length_penalty
        return Options(size, n_best, penalty)

    def _prefix(self, prefix: str | Sequence[str] | None, field: str) -> list[int]:
        with refused(field):
            return prefix_ids(self._normalized(prefix), self._trained.tokenizers.target, "it") if prefix else []

    def _normalized(self, prefix: str | Sequence[str]) -> str | Sequence[str]:
        return self._trained.translator.normalize(prefix) if isinstance(prefix, str) else prefix

    def _attend(self, request: AttendRequest, options: Options, _: Sequence[Sentence]) -> list[bytes]:
        with refused(None):
            return [self._inference.attend(request, options)]
