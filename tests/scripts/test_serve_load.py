"""`scripts/serve_load.py`: its clients read the answers of a server, and count those that fail."""

import asyncio
import sys

import pytest

from seq2seq.trained_model import load_trained_model
from tests.support.programs import ROOT
from tests.web.conftest import BEST, options, serving

sys.path.append(str(ROOT / "scripts"))
from serve_load import send

pytestmark = pytest.mark.usefixtures("unchecked")


def test_the_clients_send_each_sentence_once() -> None:
    sentences = ["Der Hund schläft.", "Die Frau liest.", "x" * 301, "", "Das Kind spielt."] * 2
    with serving(load_trained_model(BEST, device=options().device)) as client:
        result = asyncio.run(send(f"http://127.0.0.1:{client.port}", sentences, 3))
        expected = client.ask("/translate", texts=sentences[:2])["translations"]
    assert [text is None for text in result.texts] == [len(sentence) > 300 for sentence in sentences]
    assert result.texts[:2] == [translation["text"] for translation in expected]
    assert len(result.latencies) == len(sentences)
