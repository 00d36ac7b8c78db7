"""The current release over HTTP, on this machine: what `sidmill serve` runs."""
