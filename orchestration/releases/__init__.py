"""Releases: read and listed by :mod:`.store`, made by :mod:`.publishing`, shown by :mod:`.page`."""
