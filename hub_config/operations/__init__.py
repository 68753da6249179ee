"""For whoever runs the machine: backups, whether the parts answer, figures, and a log that stays bounded."""
