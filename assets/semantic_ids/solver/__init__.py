"""Finds free SIDs: one for an item in its turn, or for many items at once.

``occupancy`` knows what is taken, ``seating`` who keeps its nearest codes, ``costs`` what codes
cost items. In turn: ``residual_walk``, ``rounds``, ``cheapest_sids``. At once: ``assignment``, by
``augmenting_paths`` or by ``auction``. Loops are compiled (``compiled``).
"""
