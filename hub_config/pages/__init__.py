"""The Hub's pages: what all have in common (`common`), and a module for each of ours beside JupyterHub's own."""
