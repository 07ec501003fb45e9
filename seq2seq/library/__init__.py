"""The interface for Python programs and notebooks. `import seq2seq` exposes its names; see docs/python.md."""
