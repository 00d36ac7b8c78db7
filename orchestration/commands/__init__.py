"""The command ``sidmill``: one file per family of commands, put together in :mod:`.main`."""
