"""``sidmill doctor``: what this machine is, what that means, and what to do about it.

:mod:`.machine` looks at the machine, :mod:`.software` at what is installed, :mod:`.project` at the
project's folder. Nothing of Sidmill that could be broken is imported but inside a probe.
"""
