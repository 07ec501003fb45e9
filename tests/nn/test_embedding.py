"""The gradient of embedded words on a GPU, in its form on a CPU, against PyTorch's own."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from seq2seq.nn.embedding import Embedding
from seq2seq.runtime import determinism
from seq2seq.runtime.static_shapes import static_shapes

NUMBER, WIDTH = 7, 3


@pytest.fixture(params=[False, True], ids=["any order", "deterministic"])
def _order(request: pytest.FixtureRequest) -> Iterator[None]:
    torch.use_deterministic_algorithms(request.param)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_order")
@pytest.mark.parametrize("part", [1, 4, 1024])
@pytest.mark.parametrize("shape", [(1, 1), (2, 4), (0, 3), (5, 3)])
def test_value_and_gradient_are_those_of_pytorch(
    shape: tuple[int, int], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(determinism, "LARGEST_PART", part)
    torch.manual_seed(1)
    plain = nn.Embedding(NUMBER, WIDTH).double()
    own = Embedding(NUMBER, WIDTH).double()
    own.load_state_dict(plain.state_dict())
    ids, weights = torch.randint(NUMBER - 1, shape), torch.randn(*shape, WIDTH, dtype=torch.float64)
    with static_shapes():
        found = own(ids)
        (gradient,) = torch.autograd.grad((found * weights).sum(), own.weight)
    assert torch.equal(found, plain(ids))
    torch.testing.assert_close(gradient, torch.autograd.grad((plain(ids) * weights).sum(), plain.weight)[0])


@pytest.mark.usefixtures("_order")
def test_the_order_of_sums_is_left_open_in_a_block_only() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with determinism.unordered_additions():
        assert not torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() is before
