"""Train a translation model: `python train.py attention=dot dataset=grammar`. See README.md, or `--help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("train")
