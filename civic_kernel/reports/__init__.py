"""Reports: declared parameters, a run, and the record of that run."""
