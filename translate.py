"""Translate text: `python translate.py checkpoint=runs/NAME/checkpoints/best < my.de`. See README.md, or `--help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("translate")
