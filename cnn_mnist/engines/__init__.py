"""Exported files, opened by the runtimes of their formats and without TensorFlow."""
