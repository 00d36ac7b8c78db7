"""What the IDs are like: collisions, Gini, utilisation, hit rates; figures and one HTML page.

In: IDs, codebooks, vectors, validation sessions and pairs. Out: numbers, figures, HTML.
"""
