"""What is released, trained once more after it was measured: on train, validation and test.

In: what the retriever and the rankers were made of, and what validation chose for them. Out: both
again, and the items with all their interactions counted, each file the namesake of the one whose
place it takes in a release; nothing but a report where it is off.
"""
