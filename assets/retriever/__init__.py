"""The generative retriever: one language model that answers queries and recommends by writing SIDs.

In: IDs with a passed verdict, vectors, queries, interactions.
Out: a transformers model, the SID vocabulary and the trie of all IDs.
"""
