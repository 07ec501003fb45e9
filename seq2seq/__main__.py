"""`python -m seq2seq` is the command `seq2seq`."""

from seq2seq.commands.main import main

if __name__ == "__main__":
    main()
