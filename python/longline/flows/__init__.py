"""Call flows: what an application tells a call to do."""
