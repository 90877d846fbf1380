"""Whole checkpoints, the newest of them, one writer per folder, and `recipe.json`."""
