"""The text encoder for queries and items.

In: a sentence-transformers model by name or path, queries and co-occurrence pairs.
Out: a sentence-transformers model, with its recall on validation.
"""
