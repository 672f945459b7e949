"""How the REST API reference is built: Sphinx, and nothing else."""

project = "recovery_ha REST API"
author = "OpenStack recovery_ha developers"
copyright = author  # noqa: A001 - Sphinx's name

pygments_style = "default"
smartquotes = False

html_theme = "alabaster"
html_show_sourcelink = False
html_theme_options = {"page_width": "1100px", "sidebar_width": "240px"}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
