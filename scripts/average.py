"""Average the weights of several checkpoints: `python scripts/average.py --help`."""

from seq2seq.commands.average import main

if __name__ == "__main__":
    main()
