"""A callback of scikit-learn for the tests."""


class Recorder:
    """A callback that counts tasks, keeps what they offer, and stops when told."""

    def __init__(self, stop_after=None, interrupt_after=None, name="iteration"):
        self.names, self.fitted, self.ended = [], [], []
        self.stop_after, self.interrupt_after = stop_after, interrupt_after
        self.name = name

    def setup(self, estimator, context):
        self.ended.append("setup")

    def teardown(self, estimator, context):
        self.ended.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.names.append(context.task_name)
        if fitted_estimator is not None:
            self.fitted.append(fitted_estimator)
        count = self.names.count(self.name)
        if count == self.interrupt_after:
            raise KeyboardInterrupt
        return context.task_name == self.name and count == self.stop_after
