"""What ranks items without generating: by vectors, words, what goes together, or popularity.

In: items, the train split of interactions, vectors; validation sessions and queries, by which
settings are chosen. Out: fitted rankers, each of which returns ``Ranked(rows, scores)`` for queries
or for histories.
"""
