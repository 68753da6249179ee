"""The vault side of the civic workspace: everything that may touch a record.

Layers, each importing only to its left (tests/contracts/test_layers.py fails on a crossing):

    errors, clock, canonical, texts <- documents <- catalog, parties <- privacy, query <- policy <- pricing <- db
    <- audit <- ledger, vault, answers <- intake, commons <- flows <- compose <- gateway, jobs, demo <- cli <- vault_cli
"""
