"""Work beside the loop that is done when it is asked for, or when the test says so."""


class AtOnce:
    """Stands in for `Background`."""

    def run(self, work, then, failed, lane="files"):
        try:
            done = work()
        except Exception as error:
            failed(error)
        else:
            then(done)


class InTime(AtOnce):
    """The same, but for `do`."""

    def __init__(self):
        self.waiting = []

    def run(self, *task):
        self.waiting.append(task)

    def do(self):
        while self.waiting:
            super().run(*self.waiting.pop(0))
