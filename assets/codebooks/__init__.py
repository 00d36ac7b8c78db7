"""A fitted quantizer: turns a vector into a short sequence of codes, coarse to fine.

In: item vectors. Out: the codebooks and their version. One file per quantizer.
"""
