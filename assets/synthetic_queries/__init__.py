"""Search queries for items that lack real ones.

In: items and real queries. Out: one table of real and made queries, each with its split and kind.
"""
