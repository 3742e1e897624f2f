"""A stand-in for Ray in this process: calls are answered in turn, when they are waited for."""

from collections.abc import Callable
from types import SimpleNamespace


class RayError(Exception):
    pass


class RayActorError(RayError):
    pass


class Call:
    def __init__(self, actor, name, arguments):
        self.actor, self.name, self.arguments = actor, name, arguments


class Actor:
    def __init__(self, ray, worker):
        self._ray, self.worker, self.dead = ray, worker, False
        self.number = len(ray.actors)

    def __getattr__(self, name):
        return SimpleNamespace(remote=lambda *arguments: Call(self, name, arguments))


class FakeRay:
    """`dies(actor, name, arguments)` says whether a worker is lost before (-1) or after (1) a call.

    `most` is the highest number of drafts that were requested and not yet answered.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayActorError=RayActorError)

    def __init__(self, dies: Callable = lambda *_: 0, make: Callable | None = None) -> None:
        self.actors, self.dies, self.make, self.most = [], dies, make, 0

    def remote(self, kind):
        def start(*arguments):
            worker = self.make(*arguments) if self.make else kind(*arguments)
            self.actors.append(Actor(self, worker))
            return self.actors[-1]

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

    def wait(self, calls, num_returns, timeout):
        assert num_returns == 1
        assert timeout > 0
        self.most = max(self.most, sum(call.name == "prepare" for call in calls))
        return calls[:1], calls[1:]

    def get(self, call):
        actor = call.actor
        dies = 0 if actor.dead else self.dies(actor, call.name, call.arguments)
        actor.dead = actor.dead or dies < 0
        if actor.dead:
            raise RayActorError("The actor died.\n and more")
        answer = getattr(actor.worker, call.name)(*call.arguments)
        if dies > 0:
            actor.dead = True
            raise RayActorError("The actor died.")
        return answer

    def kill(self, actor):
        actor.dead = True
