"""What ranks items without generating: dense, BM25, item KNN, popularity; fitted once and saved.

In: items, the train split of interactions, vectors. Out: fitted rankers, each of which returns
``Ranked(rows, scores)`` for queries or for histories.
"""
