"""Measures what the README says of speed, memory and accuracy; `benchmarks/README.md` tells how."""
