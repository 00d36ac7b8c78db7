"""The generative retriever: one model that answers queries and recommends by writing SIDs.

In: IDs with a passed verdict, vectors, queries, interactions.
Out: the generator's weights, what it was trained on, and how training went.
"""
