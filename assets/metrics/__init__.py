"""What each part and the whole gain on the test split, on the same questions.

In: everything. Out: one table of measures with intervals, slices, figures, and every method's worth
per question. The only stage that measures on the test split. Two more read it, and choose nothing
by it: ``answers`` keeps what every user had, for ``--user``, and ``final_fit`` learns from all
splits where that is asked for.
"""
