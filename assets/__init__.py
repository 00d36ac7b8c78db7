"""The stages of Sidmill: each sub-package makes one asset, a folder of plain files under ``data/``.

Nothing here knows Dagster or DVC. A stage imports its own folder, :mod:`assets.stage`,
:mod:`assets.evaluation` and the ``artifact`` modules of upstream stages.
"""
