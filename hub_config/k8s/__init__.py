"""Seats as pods, for the chart "Zero to JupyterHub": what the Hub adds to the chart, its values, the vault's own
manifests, and the image that all of them run."""
