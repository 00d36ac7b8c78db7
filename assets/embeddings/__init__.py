"""Vectors of items.

In: items and the bi-encoder. Out: item_id and one unit vector per named view.
"""
