"""The Hub service `reports`: prices, runs and shows reports for whoever asks with her own token.

identity.py   whose token it is, asked of the Hub
desk.py       what there is and what runs: all batches of all persons, and the queue
app.py        the HTTP interface
shapes.py     bodies in and out
"""
