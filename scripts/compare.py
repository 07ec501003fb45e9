"""Train one run for each attention rule and seed, and compare them: `python scripts/compare.py --help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("compare")
