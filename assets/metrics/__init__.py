"""Search and recommendation on the test split, against baselines in the same run.

In: everything. Out: one table of measures with intervals, slices, figures. The only stage that
reads the test split.
"""
