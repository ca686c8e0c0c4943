"""Functions that pass keyword arguments on, with a signature that lists them all."""

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def takes_options_of(
    target: Callable[..., object],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Returns a decorator that lists another function's options in place of ``**options``.

    Options are the parameters of `target` with a default, except those the decorated function has
    under the same name. Configurations are checked against this signature.

    Args:
        target: The function or class that ``**options`` is passed to.
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        own = inspect.signature(function)
        named = [each for each in own.parameters.values() if each.kind is not each.VAR_KEYWORD]
        options = [
            each.replace(kind=each.KEYWORD_ONLY)
            for each in inspect.signature(target).parameters.values()
            if each.default is not each.empty and each.name not in own.parameters
        ]
        signature = own.replace(parameters=[*named, *options])

        @functools.wraps(function)
        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            signature.bind(*args, **kwargs)  # a TypeError for unknown options
            return function(*args, **kwargs)

        vars(call)["__signature__"] = signature
        return call

    return decorate
