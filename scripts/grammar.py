"""Print or write the built-in corpus: `python scripts/grammar.py --help`."""

from seq2seq.commands.grammar import main

if __name__ == "__main__":
    main()
