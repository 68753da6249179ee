"""Privacy as arithmetic: budgets in integers, mechanisms that carry their own proof of price."""
