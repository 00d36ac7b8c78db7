"""Params of the stage ``embeddings``."""

from assets.stage import Params


class EmbeddingsParams(Params):
    """Nothing of its own yet: model, token cap and batch size come with the bi-encoder."""
