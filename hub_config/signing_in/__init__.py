"""Who somebody is: one authenticator for cards, links, passwords and a provider; sessions and how they end."""
