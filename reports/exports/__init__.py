"""Tables and words for papers: Markdown, LaTeX, a methods paragraph, BibTeX."""
