"""Average the weights of several checkpoints: `python scripts/average.py --help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("average")
