"""XML that is written with care and read without trust."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["add", "attribute", "parse", "root_name", "serial", "text_of"]

# What XML 1.0 has no way to write.
_NEVER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def add(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    """Append an element."""
    made = SubElement(parent, tag, {key: _allowed(one) for key, one in attributes.items()})
    if text is not None:
        made.text = _allowed(text)
    return made


def serial(root: Element, *, bare: bool = False) -> bytes:
    """A document as UTF-8, one element a line; a bare one is without ``<?xml …?>``."""
    indent(root)
    content: bytes = tostring(root, "utf-8", xml_declaration=not bare)
    return content + b"\n"


def parse(file: str, content: bytes) -> Any:
    """The root of a document; entities and external parts are refused."""
    try:
        return fromstring(content, forbid_dtd=True)
    except ParseError as error:
        line = error.position[0]
        raise faults.misfit(faults.at_line(file, line), f"it isn't XML: {error.msg}") from None
    except (DefusedXmlException, ValueError, LookupError):
        raise faults.misfit(file, "it has a DTD or entities, which labels don't need") from None


def root_name(content: bytes) -> str:
    """The first element's name, without reading the rest."""
    found = re.search(rb"<([A-Za-z_][\w.-]*)", content[:4096])
    return found[1].decode() if found else ""


def attribute(element: Any, name: str, place: str) -> str:
    """An attribute that must be there."""
    found = element.get(name)
    if found is None:
        raise faults.misfit(place, f"<{element.tag}> has no {name!r}")
    return str(found)


def text_of(element: Any, path: str, place: str) -> str:
    """The text of an element below that must be there."""
    found = element.findtext(path)
    if found is None:
        raise faults.misfit(place, f"<{element.tag}> has no <{path}>")
    return str(found).strip()


def _allowed(value: object) -> str:
    text = faults.plain(value) if isinstance(value, float) else str(value)
    if found := _NEVER.search(text):
        raise Invalid(
            f"{text[:40]!r} can't be written as XML",
            f"XML has no way to write the character {found[0]!r}",
            "export JSON lines",
            code="E-LABEL-309",
        )
    return text
