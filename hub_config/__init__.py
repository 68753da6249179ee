"""The Hub's side of the workspace: who may enter, as whom, and which processes run.

Imports jupyterhub and (in tests nothing else of ours) never `data_access`; from the analyst side only the
warm template, once it is there. The Hub and the gateway meet over HTTP.
"""
