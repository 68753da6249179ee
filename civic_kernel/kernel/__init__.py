"""The kernel "Civic (Python)": IPython with the helper and its magics loaded, forked ready from the template.

provisioner.py  how a seat's server starts it: from the template, or cold where there is none
extension.py    what is loaded into it: magics, fonts, plain sentences above tracebacks
spec/           the kernelspec that JupyterLab lists
"""
