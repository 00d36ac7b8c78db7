"""How quantizers are learnt, one file each, named as what it learns in the folder above.

Nothing that loads or uses a fitted quantizer imports from here.
"""
