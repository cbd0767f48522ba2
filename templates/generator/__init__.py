"""Writes the example projects; see ../generate.py."""
