"""The translation model: embeddings, encoder, decoder, output layer."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seq2seq.attention.distributions import Attention
from seq2seq.nn.cross_entropy import Loss, linear_cross_entropy, padded_linear_cross_entropy
from seq2seq.nn.decoder_base import Decoder, Memory, State
from seq2seq.nn.dropout import Dropout, WordDropout
from seq2seq.nn.embedding import Embedding
from seq2seq.nn.encoder import Encoder, SelfAttentionEncoder
from seq2seq.nn.initialization import initialize
from seq2seq.runtime.static_shapes import has_static_shapes

TIES = ("none", "target", "all")
PARTS = {
    "embeddings": ("source_embedding", "target_embedding"),
    "encoder": ("encoder",),
    "decoder": ("decoder",),
    "attention": ("decoder.attention",),
    "output": ("output",),
}
"""The parts of a model that training can leave as they are, and their modules. `decoder` includes its attention."""


class Model(nn.Module):
    """`p(y_i | y_<i, x) = softmax(W o_i + b)`, with `o_i` the output of the attention decoder for target word i."""

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        *,
        source_vocabulary: int,
        target_vocabulary: int,
        embedding_size: int,
        embedding_scale: float,
        tie: str,
        dropout: float,
        positions: int,
        word_dropout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Builds the model with its initial weights.

        - `tie` is one of `TIES`. With `target`, target embeddings and output layer share one matrix; with `all`, the
          source embeddings share it, too.
        - `embedding_scale` multiplies the embedded words (`sqrt(embedding_size)` in Vaswani et al. 2017, section 3.4),
          but not the output layer.
        - `word_dropout` are the probabilities of `WordDropout` for the words of the source and of the target.
        - `positions` is the greatest source length in tokens, EOS counted, that a location-based rule can score.
        """
        super().__init__()
        assert tie in TIES, tie
        assert tie != "all" or source_vocabulary == target_vocabulary
        self.encoder = encoder
        self.decoder = decoder
        self.scale = embedding_scale
        self.dropout = Dropout(dropout)
        self.source_word_dropout, self.target_word_dropout = map(WordDropout, word_dropout)
        self.target_embedding = Embedding(target_vocabulary, embedding_size)
        self.source_embedding = self.target_embedding
        if tie != "all":
            self.source_embedding = Embedding(source_vocabulary, embedding_size)
        self.output_size = embedding_size  # the width of decoder outputs
        self.output = nn.Linear(embedding_size, target_vocabulary)
        if tie != "none":
            self.output.weight = self.target_embedding.weight
        self.positions = positions
        initialize(self, embeddings=(self.source_embedding.weight, self.target_embedding.weight, self.output.weight))

    @property
    def longest_source(self) -> int | None:
        """The greatest source length in tokens, EOS counted, or None if no rule has a limit."""
        layers = [self.decoder.attention]
        if isinstance(self.encoder, SelfAttentionEncoder):
            layers.append(self.encoder.attention)
        return self.positions if any(layer.score.location_based for layer in layers) else None

    def encode(self, source: Int[Tensor, "batch source"], mask: Bool[Tensor, "batch source"]) -> tuple[Memory, State]:
        """The memory of the sources and the first state of the decoder."""
        embedded = self.source_word_dropout(self._scaled(self.source_embedding(source)))
        outputs, final = self.encoder(self.dropout(embedded), mask)
        return self.decoder.prepare_memory(self.dropout(outputs), mask), self.decoder.start(final, mask)

    def decode(
        self, target: Int[Tensor, "batch target"], state: State, memory: Memory
    ) -> tuple[Float[Tensor, "batch target embedding"], State, Attention]:
        """Decoder outputs (inputs of the output layer), the state after the last word, and the attention of each word.

        `target` has all words of the targets (teacher forcing) or the next word of each (search).
        """
        embedded = self.dropout(self.target_word_dropout(self._scaled(self.target_embedding(target))))
        outputs, state, attention = self.decoder(embedded, state, memory)
        return self.dropout(outputs), state, attention

    def _scaled(self, embedded: Float[Tensor, "batch tokens embedding"]) -> Float[Tensor, "batch tokens embedding"]:
        return embedded if self.scale == 1 else self.scale * embedded

    def loss(
        self,
        outputs: Float[Tensor, "batch target embedding"],
        target: Int[Tensor, "batch target"],
        mask: Bool[Tensor, "batch target"],
        *,
        smoothing: float,
    ) -> Loss:
        """The loss of decoder outputs, as sums over target tokens, with EOS and without padding."""
        if has_static_shapes(outputs):
            return padded_linear_cross_entropy(self.output, outputs, target, mask, smoothing=smoothing)
        return linear_cross_entropy(self.output, outputs[mask], target[mask], smoothing=smoothing)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        mask: Bool[Tensor, "batch source"],
        target: Int[Tensor, "batch target"],
    ) -> tuple[Float[Tensor, "batch target embedding"], Attention]:
        """Teacher forcing: the decoder output and the attention of every target word."""
        memory, state = self.encode(source, mask)
        outputs, _, attention = self.decode(target, state, memory)
        return outputs, attention
