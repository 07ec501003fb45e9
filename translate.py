"""Translate text: `python translate.py checkpoint=runs/NAME/checkpoints/best < my.de`. See README.md, or `--help`."""

from seq2seq.commands.translate import main

if __name__ == "__main__":
    main()
