"""From a model on this machine to a live endpoint: packing, checking, deploying, calling and removing.

For the operator's machine alone: nothing here is imported by the server, and boto3 is not in the image.
"""
