"""Pulls an artifact with the oras client: python suite.py HOST/REPOSITORY:TAG FOLDER."""

import sys

import oras.client

target, folder = sys.argv[1:]
client = oras.client.OrasClient(insecure=True)
pulled = client.pull(target=target, outdir=folder)
print(len(pulled))
