"""Proves what `docs/guarantees.md` promises, with real processes, signals and files.

`python -m stress` runs every test in full and prints one table; `tests/test_stress.py` runs each of
them with a smaller number. A test never stops at the first failure: it counts how many of its tries
held, and tells what the others did.
"""
