"""(PREDICTION, LABEL, spacing) -> NUMBERS, for arrays of class indices on one grid.

Read in this order: `overlap` (what the voxels say), `surface` (what the borders say), `instances` (what the objects
say), `table` (all of it for a case, and means over cases), `summary` (how sure the means are), `definitions` (what each
column means) and `formats` (how it is written down).
"""
