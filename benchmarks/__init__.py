"""Measures what `docs/speed.md` and `docs/recipes.md` say; `benchmarks/README.md` tells how."""
