"""Reads a page as a browser does: well-formed, its parts by address, what it points to."""

from html.parser import HTMLParser

VOID = {"meta", "br", "wbr"}
POINTS = ("src", "href", "srcset", "data", "action", "poster", "xlink:href")


class Reading(HTMLParser):
    """Elements, text by section, and every reference of a page.

    Fails on an element that is not closed where it should be.
    """

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.references = [], [], []
        self.sections, self.text, self.style = {}, "", ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))
        self.references += [value for key, value in attributes if key in POINTS]
        if name not in VOID:
            self.open.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self.open, f"</{name}> closes nothing"
        assert self.open.pop()[0] == name

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "style":
            self.style += data
            return
        self.text += data
        for name, attributes in self.open:
            if name == "section":
                known = self.sections.get(attributes["id"], "")
                self.sections[attributes["id"]] = known + data

    def all(self, name, class_=None):
        """Return the attributes of all elements of a name, and class if one is given."""
        return [
            attributes
            for tag, attributes in self.tags
            if tag == name and (class_ is None or class_ in attributes.get("class", "").split())
        ]
