"""Practice: replays for training, in a database of their own (docs/practice.md, docs/decisions/0160)."""
