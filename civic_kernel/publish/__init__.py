"""From a run to a citizen's page: blocks, screen, exporter, release record, site."""
