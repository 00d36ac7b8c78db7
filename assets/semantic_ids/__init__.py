"""One Semantic ID per item.

In: item vectors and codebooks. Out: item_id, sid, the raw codes, what was moved and the version.
One file per collision policy.
"""
