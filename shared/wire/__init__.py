"""The protocol between a client (Blender, the command line) and the backend service. Contract: docs/protocol.md."""
