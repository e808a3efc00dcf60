"""The REST API: the Teler API's shapes, and a few resources of our own beyond them."""
