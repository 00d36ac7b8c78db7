"""What each part and the whole gain on the test split, on the same questions.

In: everything. Out: one table of measures with intervals, slices, figures, and every method's worth
per question. The only stage that reads the test split.
"""
