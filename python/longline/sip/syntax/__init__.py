"""What stands in SIP messages: texts to values and back, without any state."""
