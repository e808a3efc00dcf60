"""The conformance kit of longline.v1: every rule that can be seen from outside is a named check.

`application` plays Longline against an application, `server` plays an application against whoever speaks longline.v1.
"""
