"""Sweeps: every job a plain single run in a process of its own, watched from here.

Nothing bleeds from job to job (memory, global state, a DDP process group), a job that fails is recorded and the others
go on, each has its own log, and each can be run again by hand with the command that its log begins with. The same sweep
run again does what is missing: what is done is skipped, what was interrupted goes on, what failed is tried again.

Two plugins for Hydra: the launcher `process` (here, or through SLURM or Ray) and the sweeper `optuna`.
"""

from autogrow.launcher.plugin import register_launcher
from autogrow.launcher.summary import print_summary
from autogrow.launcher.sweeper import register_sweeper
from autogrow.launcher.task import Task, check_sweeps

__all__ = ["Task", "check_sweeps", "print_summary", "register_launcher", "register_sweeper"]
