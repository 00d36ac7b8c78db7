"""What ranks items without generating: dense, BM25, item KNN, EASE, SLIT, transitions, popularity.

In: items, the train split of interactions, vectors; validation sessions and queries, by which
settings are chosen. Out: fitted rankers, each of which returns ``Ranked(rows, scores)`` for queries
or for histories.
"""
