"""The stages of Sidmill: each sub-package makes one asset, a folder of plain files under ``data/``.

Nothing here knows Dagster or DVC. A stage imports its own folder, the shared rooms (``stage``,
``machine``, ``files``, ``evaluation``, ``ranking``, ``training``) and what upstream stages hand
over, their ``artifact`` modules.
"""

import os

# Numerical libraries read these once, when they are loaded, which is after this file: whatever of
# Sidmill is imported, this package comes first.
# By default OpenMP's threads spin while they wait for each other: with another busy process on the
# machine that makes training many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if os.environ.get("SIDMILL_THREADS", "").strip().isdigit():
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = os.environ["SIDMILL_THREADS"].strip()
