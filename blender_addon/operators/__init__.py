"""What the buttons do: each checks, then sends one message or calls one function."""
