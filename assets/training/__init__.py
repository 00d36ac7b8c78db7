"""What all who train share: schedules, forecasts, the best moment, checkpoints, processes.

No framework: a trainer writes its own loop and takes from here what it needs. Which precision a
machine is fast in is said by ``assets/machine.py``.
"""
