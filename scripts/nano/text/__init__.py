"""The text of which the base model `nano` is made; see ../corpus.py."""
