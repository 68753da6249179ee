"""The HTTP face: two ASGI apps, one behind the Hub's login, one for anybody.

The public app has no route that asks a question, takes no cookie and reads no token.
"""
