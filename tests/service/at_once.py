"""Work beside the loop that is done when it is asked for."""


class AtOnce:
    """Stands in for `Background`."""

    def run(self, work, then, failed, lane="files"):
        try:
            done = work()
        except Exception as error:
            failed(error)
        else:
            then(done)
