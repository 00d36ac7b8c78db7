"""What all who train share: schedules, forecasts, the best moment, checkpoints, processes.

No framework: the generator and SASRec follow one loop, ``course.follow``; the encoder, which
sentence-transformers trains, and RQ-VAE have loops of their own and take from here what they need.
Which precision a machine is fast in is said by ``assets/machine.py``.
"""
