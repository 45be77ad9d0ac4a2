"""The files that a configuration generates for the firmware: name -> text."""

from gcpt import render
from gcpt.config import BuildConfig


def files(config: BuildConfig) -> dict[str, str]:
    """All texts that the firmware includes, by file name."""
    texts = {
        "gcpt_config.h": render.config_header(config),
        "gcpt_csrs.inc": render.csr_assembly(config),
        "gcpt_defs.ld": render.link_definitions(config),
    }
    if render.needs_printf(config):
        texts["gcpt_csr_names.inc"] = render.csr_names()
    return texts
