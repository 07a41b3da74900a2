"""Contract tests: one rule of Storm's contract a test, told by Apache's generated clients.

Each test names the section of the specification that it pins, as `C 3.5` for section 3.5 of the
control plane's. A call is written out (`nimbus.getBlobMeta(...)`): a test of its own looks for one
of each method of the IDL.
"""
