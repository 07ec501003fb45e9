"""Score a checkpoint: `python evaluate.py checkpoint=runs/NAME/checkpoints/best`. See README.md, or `--help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("evaluate")
