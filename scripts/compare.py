"""Train one run for each attention rule and seed, and compare them: `python scripts/compare.py --help`."""

from seq2seq.commands.compare import main

if __name__ == "__main__":
    main()
