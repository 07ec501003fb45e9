"""Score given translations: `python score.py checkpoint=runs/NAME/checkpoints/best source=my.de target=my.en`.

See docs/usage.md, or `--help`.
"""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("score")
