"""Two pages of a seat's server for whoever does not write code: run a report, ask a question.

addresses.py   where they are
frame.py       what all of their addresses share
chosen.py      a question as the form has it: as fields of an address, as a question, as Python
offered.py     what the form of a dataset offers
pricing.py     prices and precision in words
answered.py    an answer as a table, drawings and a CSV
asking.py      the addresses of asking
fields.py      a report's form from its schema, and back
service.py     speaks with the service `reports`
states.py      a run as the page shows it
running.py     the addresses of running reports
previews.py    a run's pages, in a sandbox

Everything works without a script: each step is a link or a form that leads to a page. The script only saves the
clicks on "look at the price" and "look again".
"""
