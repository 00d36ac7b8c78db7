"""The stages of Sidmill: each sub-package makes one asset, a folder of plain files under ``data/``.

Nothing here knows Dagster or DVC. A stage imports its own folder, :mod:`assets.stage`,
:mod:`assets.evaluation` and the ``artifact`` modules of upstream stages.
"""

import os

# OpenMP reads it once, when torch or faiss is loaded. By default its threads spin while they wait
# for each other: with another busy process on the machine that makes training many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
