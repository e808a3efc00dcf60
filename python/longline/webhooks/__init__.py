"""Status webhooks: telling an application what became of its calls."""
