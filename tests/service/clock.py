"""Time that passes when a test says so."""


class FakeClock:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds

    def pass_(self, seconds):
        self.seconds += seconds
