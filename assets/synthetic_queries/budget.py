"""How much a run may still spend on a paid endpoint."""

from __future__ import annotations

import threading


class Budget:
    """Counts requests and tokens against their limits; safe between threads.

    A request is reserved before it is sent, with the most tokens that it can cost, and settled
    when its cost is known: what is spent never goes beyond a limit.

    Args:
        max_requests: Most requests.
        max_tokens: Most tokens of prompts and answers together.
    """

    def __init__(self, max_requests: int, max_tokens: int) -> None:
        self._requests = max_requests
        self._tokens = max_tokens
        self._lock = threading.Lock()

    def reserve(self, tokens: int) -> bool:
        """Take one request and so many tokens, or nothing and return False."""
        with self._lock:
            if self._requests < 1 or self._tokens < tokens:
                return False
            self._requests -= 1
            self._tokens -= tokens
            return True

    def settle(self, reserved: int, used: int) -> None:
        """Give back what of a reservation was not used."""
        with self._lock:
            self._tokens += reserved - used

    def charge(self, tokens: int) -> None:
        """Count a request of an earlier run."""
        with self._lock:
            self._requests -= 1
            self._tokens -= tokens
