"""Dagster, releases and the command line around the stages; knows no algorithm."""

import assets  # noqa: F401  before anything loads numpy: it sets how many threads that takes
