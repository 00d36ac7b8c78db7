"""The data everything else is made from.

In: files dropped into ``data/incoming/{items,interactions,queries}`` or a packaged data set.
Out: items with their ``document``, interactions with position and split, real queries with split,
co-occurrence pairs, and the rejects with their reasons, as ordered Parquet.
"""
