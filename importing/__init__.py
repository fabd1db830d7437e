"""Read tables of customers: CSV files and workbooks, their headings, and phone numbers as people write them.

The command line uses this package, and the service can: it needs no terminal and no network. `tables` reads a file,
`columns` maps its headings to fields, `rows` turns lines into rows of the API, and `phones` finds the keys of a number.
"""

from typing import Final

MAX_KEYS: Final = 5  # phone numbers and e-mail addresses by which a customer is found
