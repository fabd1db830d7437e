"""Paths of the project on a developer's machine. `.local/` and `build/` may be deleted at any time."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCAL = PROJECT / ".local"
BUILD = PROJECT / "build"

JAVA_PACKAGES = PROJECT / ".venv-java" / "lib"
ENGINE_PYTHON = PROJECT / ".venv-engine" / "bin" / "python"
AWS_CLI = PROJECT / ".venv-deploy" / "bin" / "aws"
DYNAMODB_LOCAL = PROJECT / ".dynamodb-local" / "package" / "emulator"
