"""Write a model as ONNX: `python scripts/export.py --help`."""

from seq2seq.commands.export import main

if __name__ == "__main__":
    main()
