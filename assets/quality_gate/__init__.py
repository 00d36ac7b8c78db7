"""Great Expectations over the collision report and the ID table.

In: the report and the IDs. Out: the verdict, one row per expectation, for exactly this ID version.
A failed expectation of severity ``critical`` makes the stage fail, which stops both engines.
"""
