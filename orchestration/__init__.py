"""Dagster, releases and the command line around the stages; knows no algorithm."""
