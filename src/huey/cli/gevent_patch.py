"""Greenlet workers: make the standard library cooperative before anything else is imported."""

from __future__ import annotations

import sysconfig

from huey.exceptions import ConfigurationError


def patch_standard_library() -> None:
    """Replace blocking functions of the standard library by those of gevent.

    Raises:
        ConfigurationError: gevent is missing, or this Python cannot run it.
    """
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise ConfigurationError(
            "Worker type greenlet needs gevent, which does not run on a free-threaded build of "
            "Python: choose -k thread or -k asyncio, or a build with the GIL."
        )
    try:
        from gevent import monkey
    except ImportError as error:
        raise ConfigurationError(
            f"Worker type greenlet needs gevent ({error}): run pip install 'huey[gevent]', or "
            f"choose -k thread or -k asyncio."
        ) from error
    monkey.patch_all()
