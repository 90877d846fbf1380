"""The forms in which data sets come, one module each; `table.py` lists them.

A format has two functions. `claims(place)` tells by names and first bytes which files of a place
are its own. `read(place)` reads them into `parts.Parts`.
"""
