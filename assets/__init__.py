"""The stages of Sidmill: each sub-package makes one asset, a folder of plain files under ``data/``.

Nothing here knows Dagster or DVC. A stage imports its own folder, the shared rooms (``stage``,
``machine``, ``files``, ``evaluation``, ``ranking``, ``training``) and what upstream stages hand
over, their ``artifact`` modules.
"""

from assets.threads import tell_libraries

tell_libraries()
