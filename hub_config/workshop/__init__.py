"""Workshops from making to closing: seats, cards and their sheet, whether all is ready, the notebook tried before."""
