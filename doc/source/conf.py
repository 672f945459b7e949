"""How the documentation is built: Sphinx, and nothing from the network."""

import pathlib
import sys

_HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(_HERE / "_ext"))

project = "recovery_ha"
author = "OpenStack recovery_ha developers"
copyright = author  # noqa: A001 - Sphinx's name

extensions = [
    "from_code",
    "oslo_config.sphinxconfiggen",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
    "sphinx.ext.autodoc",
]
config_generator_config_file = [
    (
        str(_HERE.parents[1] / "etc" / "recovery-ha-config-generator.conf"),
        "_static/recovery-ha",
    ),
    (
        str(
            _HERE.parents[1]
            / "etc"
            / "recovery-ha-custom-recovery-methods-config-generator.conf"
        ),
        "_static/recovery-ha-custom-recovery-methods",
    ),
]
policy_generator_config_file = str(
    _HERE.parents[1] / "etc" / "recovery-ha-policy-generator.conf"
)
sample_policy_basename = "_static/recovery-ha"

exclude_patterns: list[str] = []
nitpicky = False
pygments_style = "default"
# Option values such as 'pre:[...]' are not code.
highlight_language = "none"
smartquotes = False

html_theme = "alabaster"
html_static_path = ["_static"]
html_show_sourcelink = False
html_theme_options = {
    "description": "High availability for the instances of a cloud",
    "fixed_sidebar": True,
    "page_width": "1100px",
    "sidebar_width": "240px",
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
text_sectionchars = '*=-~"+`'
