"""Write a model as ONNX: `python scripts/export.py --help`."""

from seq2seq.commands.main import start

if __name__ == "__main__":
    start("export")
