"""Make what takes minutes before the tests that need it are reached: python -m tests.prepare."""

from tests.aws import registry_image
from tests.image.sdk_environments import IMPORTS, sdk_python

if __name__ == "__main__":
    for extra in IMPORTS:
        sdk_python(extra)
    registry_image()
