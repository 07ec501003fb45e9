"""The same models written plainly, as a textbook has them: what `scripts/benchmark.py` measures seq2seq against.

Modules of PyTorch, one step after the other, the output layer and the loss over every position. What a careful person
does by hand is done: the keys are projected once a sentence, and the output layer comes once, after the loop.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.nn.model import Model
from seq2seq.text.batches import Batch
from seq2seq.text.tokenizer import BOS, EOS, PAD

RULES = {"luong": "general", "bahdanau": "additive", "conditional": "additive"}
"""The rule that each place of the decoder is measured with: that of its paper."""


class PlainModel(nn.Module):
    """One of three decoders; the names of its weights are those of `Model`, without their modules."""

    def __init__(
        self, decoder_kind: str, *, embedding: int, encoder_hidden: int, hidden: int, vocabulary: int, dropout: float
    ) -> None:
        super().__init__()
        value = 2 * encoder_hidden
        self.decoder_kind = decoder_kind
        self.dropout = nn.Dropout(dropout)
        self.source_embedding = nn.Embedding(vocabulary, embedding)
        self.target_embedding = nn.Embedding(vocabulary, embedding)
        self.encoder = nn.GRU(embedding, encoder_hidden, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(value, hidden)
        self.key = nn.Linear(value, hidden, bias=False)
        if RULES[decoder_kind] == "additive":
            self.query = nn.Linear(hidden, hidden)
            self.v = nn.Linear(hidden, 1, bias=False)
        if decoder_kind == "luong":
            self.cell = nn.GRUCell(embedding, hidden)
            self.linear = nn.Linear(hidden + value, embedding)
        else:
            self.cell = nn.GRUCell(hidden, hidden)
            self.linear = nn.Linear((hidden if decoder_kind == "conditional" else embedding) + value, hidden)
            self.readout = nn.Linear(hidden + embedding + value, embedding)
        if decoder_kind == "conditional":
            self.first = nn.GRUCell(embedding, hidden)
        self.output = nn.Linear(embedding, vocabulary)

    def copy_weights(self, model: Model) -> "PlainModel":
        """Takes the weights of the same model in seq2seq."""
        self.load_state_dict({_plain_name(name): weight for name, weight in model.state_dict().items()})
        return self

    def encode(self, source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, values, and the decoder's first state."""
        packed = pack_padded_sequence(
            self.dropout(self.source_embedding(source)), mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, last = self.encoder(packed)
        values = self.dropout(pad_packed_sequence(outputs, batch_first=True)[0])
        return self.key(values), values, torch.tanh(self.bridge(torch.cat((last[0], last[1]), dim=1)))

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The context of one step."""
        if RULES[self.decoder_kind] == "additive":
            scores = self.v(torch.tanh(self.query(query).unsqueeze(1) + keys)).squeeze(2)
        else:
            scores = torch.bmm(keys, query.unsqueeze(2)).squeeze(2)
        weights = torch.softmax(scores.masked_fill(~mask, float("-inf")), dim=1)
        return torch.bmm(weights.unsqueeze(1), values).squeeze(1)

    def step(self, word: Tensor, state: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the output layer reads, and the next state."""
        embedded = self.dropout(self.target_embedding(word))
        if self.decoder_kind == "luong":
            state = self.cell(embedded, state)
            hidden = self.dropout(state)
            context = self.attend(hidden, keys, values, mask)
            return self.dropout(torch.tanh(self.linear(torch.cat((hidden, context), dim=1)))), state
        beside = embedded
        if self.decoder_kind == "conditional":
            beside = state = self.first(embedded, state)
        context = self.attend(state, keys, values, mask)
        state = self.cell(self.linear(torch.cat((beside, context), dim=1)), state)
        together = self.dropout(torch.cat((state, embedded, context), dim=1))
        return self.dropout(torch.tanh(self.readout(together))), state

    def forward(self, batch: Batch) -> Tensor:
        """The logits of every position, padding too."""
        keys, values, state = self.encode(batch.source, batch.source_mask)
        outputs = []
        for word in batch.target_input.unbind(1):
            output, state = self.step(word, state, keys, values, batch.source_mask)
            outputs.append(output)
        return self.output(torch.stack(outputs, dim=1))

    def loss(self, batch: Batch, *, smoothing: float) -> Tensor:
        """The sum over the target tokens."""
        criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=smoothing, reduction="sum")
        return criterion(self(batch).flatten(0, 1), batch.target_output.flatten())

    @torch.inference_mode()
    def greedy(self, source: Tensor, mask: Tensor, limits: list[int]) -> list[list[int]]:
        """The likeliest word at each step, for all sentences until the last has ended."""
        keys, values, state = self.encode(source, mask)
        word = torch.full((len(source),), BOS, device=source.device)
        ended = torch.zeros_like(word, dtype=torch.bool)
        words = []
        for length in range(1, max(limits) + 1):
            output, state = self.step(word, state, keys, values, mask)
            word = self.output(output).argmax(dim=1)
            words.append(word)
            ended |= (word == EOS) | (torch.tensor(limits, device=word.device) <= length)
            if ended.all():
                break
        found = [row[:limit] for row, limit in zip(torch.stack(words, dim=1).tolist(), limits, strict=True)]
        return [row[: row.index(EOS) + 1] if EOS in row else row for row in found]

    @torch.inference_mode()
    def beam(self, source: Tensor, mask: Tensor, limit: int, *, size: int) -> list[int]:
        """The best hypothesis of one sentence, by log-probability over length; the beam is the batch."""
        keys, values, state = self.encode(source, mask)
        live, total = [[BOS]], torch.zeros(1, 1, device=source.device)
        ended: list[tuple[bool, float, list[int]]] = []
        for length in range(1, limit + 1):
            rows = len(live)
            word = torch.tensor([words[-1] for words in live], device=source.device)
            output, state = self.step(word, state, keys.expand(rows, -1, -1), values.expand(rows, -1, -1), mask)
            scores = total + self.output(output).log_softmax(dim=1)
            best, index = scores.flatten().topk(min(2 * size, scores.numel()))
            going = []
            for rank, (score, position) in enumerate(zip(best.tolist(), index.tolist(), strict=True)):
                row, token = divmod(position, scores.shape[1])
                if rank < size and (token == EOS or length == limit):
                    ended.append((token == EOS, score / length, [*live[row][1:], token]))
                if token != EOS:
                    going.append((score, row, [*live[row], token]))
            going = going[:size]
            if len(ended) >= size and max(ended)[1] >= going[0][0] / length:
                break
            live = [words for _, _, words in going]
            total = torch.tensor([[score] for score, _, _ in going], device=source.device)
            state = state[[row for _, row, _ in going]]
        return max(ended)[2]


def _plain_name(name: str) -> str:
    """`decoder.attention.score.key.weight` is `key.weight`; a GRU over the whole target is a cell here."""
    for module in ("decoder.", "attention.", "score."):
        name = name.removeprefix(module)
    name = name.replace("encoder.gru.", "encoder.")
    return f"cell.{name.removeprefix('gru.').removesuffix('_l0')}" if name.startswith("gru.") else name
