"""Print or write the built-in corpus: `python scripts/grammar.py --help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("grammar")
