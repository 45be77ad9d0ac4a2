"""Copies of the project in which the real SCons runs."""

from projects import built, built_once, copy_project, dtb, payload, project

__all__ = ["built", "built_once", "copy_project", "dtb", "payload", "project"]
