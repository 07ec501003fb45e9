"""What a device's name means on this machine."""

import os
import subprocess
import sys

import pytest
import torch

from seq2seq.runtime import device
from seq2seq.runtime.errors import InputError


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert device.choose_device("cpu") == torch.device("cpu")
    assert device.choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"device=cuda: .* use device=cpu or device=auto"):
        device.choose_device("cuda")


def test_threads_are_set_where_they_are_given() -> None:
    before = torch.get_num_threads()
    try:
        device.set_up_device(2)
        assert torch.get_num_threads() == 2
        device.set_up_device(None)  # the next run of a sweep
        assert torch.get_num_threads() == device.THREADS == before
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_tiny_numbers_are_nothing_in_every_thread(threads: int) -> None:
    """In a process of its own: threads take this over from the one that starts them."""
    program = f"""
import torch
from seq2seq.runtime import device
device.set_up_device({threads})
tiny = torch.full((2**22,), 1e-30).requires_grad_()
found = tiny * 1e-10
found.sum().backward()
assert torch.get_num_threads() == {threads}
assert not found.any()
assert not (tiny.grad * tiny).any()
assert (tiny * 1e-7).all()  # 1e-37 is no such number
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_gpu_can_be_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    device.set_up_device(None, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled() == torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    try:
        device.set_up_device(None)
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
        device.set_up_device(None, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        device.set_up_device(None)  # the next run of a sweep
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
