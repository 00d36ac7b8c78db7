"""What a user gets: who answers which task, and how several answers become one.

In: the generator, the rankers, the encoder, and validation. Out: the fusion chosen on validation
for each task; :class:`assets.answers.artifact.Answers` searches and recommends with it.
"""
