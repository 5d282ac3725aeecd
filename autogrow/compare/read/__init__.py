"""From the folders of finished runs to a comparison: who is compared with whom, intervals, verdicts, the surrogate."""
